DROP TABLE stock_movements;
DROP TABLE products;
DROP EXTENSION IF EXISTS pg_trgm;
