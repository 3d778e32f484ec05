-- The one-call form of an addition to a cart.
SELECT bench_add_item(('0000000000027000' || :customer)::uuid, ('0000000000017000' || :product)::uuid);
