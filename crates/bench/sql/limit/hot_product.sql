-- The one product that everybody wants.
\set product 8000000000000001
