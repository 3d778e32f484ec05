-- GET /products/{id}: one row by its key.
SELECT id, name, description, price_minor, stock, edit_version, archived_at, created_at, updated_at FROM products
WHERE id = ('0000000000017000' || :product)::uuid;
