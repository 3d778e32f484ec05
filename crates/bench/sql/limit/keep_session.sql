-- POST /orders, after the provider has answered: the order is locked and read again, and the session is kept, if the
-- order can still be paid. One commit.
BEGIN;
SELECT id, customer_id, status, payment_status, total_minor, currency, shipping_address, tracking_number, flags,
       created_at, expires_at, due_at, paid_at, shipped_at, delivered_at, cancelled_at, cancelled_by, cancel_reason
FROM orders WHERE id = ('0000000000047000' || :id)::uuid FOR NO KEY UPDATE;
SELECT id, order_id, position, request, state, session_id, session_url, session_expires_at, waits_until, ending, created_at
FROM checkout_attempts WHERE order_id = ('0000000000047000' || :id)::uuid ORDER BY position;
UPDATE checkout_attempts
SET state = 'OPEN', session_id = 'cs_limit_' || :id,
    session_url = 'https://checkout.stripe.com/c/pay/cs_limit_000000000000000000000000000000000000000' || :id,
    session_expires_at = now() + interval '31 minutes'
WHERE id = ('0000000000047000' || :id)::uuid;
COMMIT;
