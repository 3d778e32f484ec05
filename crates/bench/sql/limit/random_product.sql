-- Any product.
\set product 8000000000000000 + random(1, 1000)
