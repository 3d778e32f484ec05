-- The one-call form of an order: the same statements, but each of its two transactions is one call of a function.
SELECT bench_place(('0000000000027000' || :customer)::uuid, :id);
SELECT bench_keep_session(('0000000000047000' || :id)::uuid, 'cs_limit_' || :id);
