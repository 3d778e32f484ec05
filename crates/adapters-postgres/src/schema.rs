//! The tables as the query builder sees them; `migrations/` is the truth.

diesel::table! {
    users (id) {
        id -> Uuid,
        email -> Text,
        name -> Nullable<Text>,
        password_hash -> Text,
        role -> Text,
        blocked -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    refresh_tokens (token_hash) {
        token_hash -> Binary,
        session_id -> Uuid,
        created_at -> Timestamptz,
        spent_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    products (id) {
        id -> Uuid,
        name -> Text,
        name_key -> Text,
        description -> Nullable<Text>,
        search_text -> Text,
        price_minor -> BigInt,
        stock -> BigInt,
        edit_version -> BigInt,
        archived_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    stock_movements (product_id, seq) {
        id -> Uuid,
        seq -> BigInt,
        product_id -> Uuid,
        delta -> BigInt,
        stock_after -> BigInt,
        reason -> Text,
        order_id -> Nullable<Uuid>,
        actor_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    carts (user_id) {
        user_id -> Uuid,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    cart_items (user_id, product_id) {
        user_id -> Uuid,
        product_id -> Uuid,
        quantity -> Integer,
        added_at -> Timestamptz,
    }
}

diesel::joinable!(stock_movements -> products (product_id));
diesel::joinable!(cart_items -> products (product_id));
diesel::allow_tables_to_appear_in_same_query!(cart_items, carts, products, stock_movements);

diesel::table! {
    orders (id) {
        id -> Uuid,
        customer_id -> Uuid,
        status -> Text,
        payment_status -> Text,
        total_minor -> BigInt,
        currency -> Text,
        shipping_address -> Text,
        tracking_number -> Nullable<Text>,
        flags -> Array<Text>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        due_at -> Nullable<Timestamptz>,
        paid_at -> Nullable<Timestamptz>,
        shipped_at -> Nullable<Timestamptz>,
        delivered_at -> Nullable<Timestamptz>,
        cancelled_at -> Nullable<Timestamptz>,
        cancelled_by -> Nullable<Text>,
        cancel_reason -> Nullable<Text>,
        sweep_lease_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    order_lines (order_id, product_id) {
        order_id -> Uuid,
        position -> SmallInt,
        product_id -> Uuid,
        name -> Text,
        unit_price_minor -> BigInt,
        quantity -> Integer,
    }
}

diesel::table! {
    order_history (order_id, position) {
        order_id -> Uuid,
        position -> SmallInt,
        from_status -> Nullable<Text>,
        to_status -> Text,
        at -> Timestamptz,
        by -> Text,
        actor_id -> Nullable<Uuid>,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    checkout_attempts (id) {
        id -> Uuid,
        order_id -> Uuid,
        position -> SmallInt,
        request -> Nullable<Jsonb>,
        state -> Text,
        session_id -> Nullable<Text>,
        session_url -> Nullable<Text>,
        session_expires_at -> Nullable<Timestamptz>,
        waits_until -> Nullable<Timestamptz>,
        ending -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    receipts (intent) {
        intent -> Text,
        order_id -> Uuid,
        position -> SmallInt,
        amount_minor -> BigInt,
        currency -> Text,
        kind -> Text,
        received_at -> Timestamptz,
        charge_refunded_minor -> BigInt,
    }
}

diesel::table! {
    refunds (id) {
        id -> Text,
        intent -> Text,
        position -> SmallInt,
        amount_minor -> BigInt,
        status -> Text,
    }
}

diesel::table! {
    refund_requests (id) {
        id -> Uuid,
        intent -> Text,
        position -> SmallInt,
        amount_minor -> BigInt,
        outcome -> Text,
    }
}

diesel::table! {
    tasks (id) {
        id -> Uuid,
        order_id -> Uuid,
        kind -> Text,
        subject_id -> Uuid,
        created_at -> Timestamptz,
        due_at -> Timestamptz,
        lease_until -> Nullable<Timestamptz>,
        tries -> Integer,
        last_failure -> Nullable<Text>,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    provider_events (id) {
        id -> Uuid,
        provider_event_id -> Text,
        #[sql_name = "type"]
        kind -> Text,
        status -> Text,
        reason -> Nullable<Text>,
        order_id -> Nullable<Uuid>,
        intent -> Nullable<Text>,
        payload -> Nullable<Text>,
        received_at -> Timestamptz,
        applied_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(refunds -> receipts (intent));
diesel::joinable!(refund_requests -> receipts (intent));
diesel::allow_tables_to_appear_in_same_query!(receipts, refund_requests, refunds);
diesel::allow_tables_to_appear_in_same_query!(order_lines, products);
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(refresh_tokens -> sessions (session_id));
diesel::allow_tables_to_appear_in_same_query!(refresh_tokens, sessions, users);
