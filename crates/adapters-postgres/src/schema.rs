//! The tables as the query builder sees them; `migrations/` is the truth.

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
    stock_movements (id) {
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
