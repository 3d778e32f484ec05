-- Who does this unit, and under which id its rows are written. Each client of pgbench counts its units (`n`) and takes
-- its own customers in turn, so that no two clients wait for one customer, as with the shop's connections.
-- Given: clients, customers, run (a number of this run of pgbench), first (where in the customers to begin).
\set customer 8000000000000001 + (:first + :n * :clients + :client_id) % (:customers / :clients * :clients)
\set id 8000000000000000 + :run * 100000000000 + :client_id * 100000000 + :n
\set n :n + 1
