-- POST /webhooks/stripe, checkout.session.completed of a pending order: the receipt is locked, the event is found to
-- belong to this order, and recorded; the order is locked and read, is paid, and its receipt is linked, with what may
-- have waited for it. One commit. The orders were made before (`pending_orders.sql`), under the ids that are paid here.
BEGIN;
SELECT pg_advisory_xact_lock(hashtextextended('receipt:' || ('pi_limit_' || :id), 0));
SELECT order_id FROM receipts WHERE intent = 'pi_limit_' || :id;
SELECT order_id FROM checkout_attempts WHERE session_id = 'cs_limit_' || :id;
INSERT INTO provider_events (id, provider_event_id, type, status, order_id, intent, payload, received_at, applied_at)
VALUES (('0000000000047000' || :id)::uuid, 'evt_limit_' || :id, 'checkout.session.completed', 'APPLIED',
        ('0000000000047000' || :id)::uuid, 'pi_limit_' || :id, repeat('an event of about 800 bytes', 30), now(), now())
ON CONFLICT (provider_event_id) DO NOTHING;
SELECT id, customer_id, status, payment_status, total_minor, currency, shipping_address, tracking_number, flags,
       created_at, expires_at, due_at, paid_at, shipped_at, delivered_at, cancelled_at, cancelled_by, cancel_reason
FROM orders WHERE id = ('0000000000047000' || :id)::uuid FOR NO KEY UPDATE;
SELECT id, order_id, position, request, state, session_id, session_url, session_expires_at, waits_until, ending, created_at
FROM checkout_attempts WHERE order_id = ('0000000000047000' || :id)::uuid ORDER BY position;
SELECT id, payload FROM provider_events WHERE intent = 'pi_limit_' || :id AND status = 'WAITING' FOR NO KEY UPDATE;
UPDATE orders SET status = 'PAID', payment_status = 'COMPLETED', paid_at = now(), due_at = NULL
WHERE id = ('0000000000047000' || :id)::uuid AND status = 'PENDING';
INSERT INTO order_history (order_id, position, from_status, to_status, at, by)
VALUES (('0000000000047000' || :id)::uuid, 1, 'PENDING', 'PAID', now(), 'PROVIDER');
UPDATE checkout_attempts SET state = 'ENDED', ending = 'PAID', session_url = NULL, session_expires_at = NULL
WHERE id = ('0000000000047000' || :id)::uuid;
INSERT INTO receipts (intent, order_id, position, amount_minor, currency, kind, received_at)
VALUES ('pi_limit_' || :id, ('0000000000047000' || :id)::uuid, 0, 12345, 'USD', 'PAYMENT', now());
COMMIT;
