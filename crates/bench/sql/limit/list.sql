-- GET /products: the first page of 20, and one row more, which tells whether there is a next page.
SELECT id, name, description, price_minor, stock, edit_version, archived_at, created_at, updated_at FROM products
WHERE archived_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 21;
