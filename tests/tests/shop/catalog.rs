//! What every `ProductRepository` must do, on PostgreSQL: pages, names, stock, ledger, and many at once.

use std::collections::HashSet;

use adapters_postgres::PgProducts;
use chrono::{DateTime, TimeDelta};
use domain::catalog::{
    AdjustStock, AdjustStockError, ArchiveProduct, ArchiveProductError, CreateProduct, CreateProductError, EditProduct,
    EditProductError, IfMatch, InsufficientStock, NewProduct, Product, ProductChanges, ProductFilter, ProductOrder,
    ProductRepository, ProductTag, SearchText, Stock, StockDelta, StockMovement, Tags,
};
use domain::clock::Timestamp;
use domain::id::{ProductId, UserId};
use domain::money::{Currency, Money, Price};
use domain::page::PageLimit;
use domain::text::{AdjustmentReason, Description, ProductName};
use futures_util::future::join_all;
use ironcart_tests::database::{Database, new_uuid};

/// A catalogue and the admin who keeps it.
struct Catalogue {
    database: Database,
    products: PgProducts,
    admin: UserId,
}

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn price(minor: i64) -> Price {
    Price::new(Money::from_minor(minor, Currency::USD)).unwrap()
}

fn limit(limit: u64) -> PageLimit {
    PageLimit::new(limit).unwrap()
}

fn tag_of(product: &Product) -> ProductTag {
    ProductTag { edit_version: product.edit_version, body_hash: product.stock.get().to_string() }
}

fn seen(product: &Product) -> IfMatch {
    IfMatch { tags: Tags::OneOf(vec![tag_of(product)]), tag_of }
}

fn named(name: &str) -> ProductChanges {
    ProductChanges { name: Some(ProductName::new(name).unwrap()), ..ProductChanges::default() }
}

fn stocked(units: i64) -> ProductChanges {
    ProductChanges { stock: Some(Stock::new(units).unwrap()), ..ProductChanges::default() }
}

impl Catalogue {
    async fn open() -> Self {
        Self::on(Database::migrated().await).await
    }

    async fn on(database: Database) -> Self {
        let products = PgProducts::new(database.pool.clone(), Currency::USD);
        let admin = database.admin().await;
        Self { database, products, admin }
    }

    async fn try_create(&self, name: &str, minor: i64, stock: i64, second: i64) -> Result<Product, CreateProductError> {
        let product = NewProduct {
            name: ProductName::new(name).unwrap(),
            description: Some(Description::new(&format!("All about {name}.")).unwrap()),
            price: price(minor),
            stock: Stock::new(stock).unwrap(),
        };
        let (id, movement_id) = (new_uuid().into(), new_uuid().into());
        self.products.create(&CreateProduct { id, movement_id, product, actor_id: self.admin, at: at(second) }).await
    }

    async fn create(&self, name: &str, minor: i64, stock: i64, second: i64) -> Product {
        self.try_create(name, minor, stock, second).await.unwrap()
    }

    async fn edit(
        &self,
        id: ProductId,
        changes: ProductChanges,
        if_match: Option<IfMatch>,
    ) -> Result<Product, EditProductError> {
        let movement_id = new_uuid().into();
        let command = EditProduct { id, changes, if_match, movement_id, actor_id: self.admin, at: at(1000) };
        self.products.edit(&command).await
    }

    async fn adjust(&self, product_id: ProductId, delta: i64) -> Result<StockMovement, AdjustStockError> {
        let command = AdjustStock {
            product_id,
            movement_id: new_uuid().into(),
            delta: StockDelta::new(delta).unwrap(),
            reason: AdjustmentReason::new("counted again").unwrap(),
            actor_id: self.admin,
            at: at(1000),
        };
        self.products.adjust_stock(&command).await
    }

    async fn archive(&self, id: ProductId) -> Result<(), ArchiveProductError> {
        self.products.archive(&ArchiveProduct { id, at: at(2000) }).await
    }

    async fn find(&self, id: ProductId) -> Product {
        self.products.find(id).await.unwrap().unwrap()
    }

    /// All names in an order, read in pages.
    async fn names(&self, filter: &ProductFilter, order: ProductOrder, page: u64) -> Vec<String> {
        let (mut names, mut next) = (Vec::new(), Some(order));
        while let Some(order) = next {
            let page = self.products.list(filter, &order, limit(page)).await.unwrap();
            names.extend(page.items.iter().map(|product| product.name.to_string()));
            next = page.next;
        }
        names
    }

    async fn ledger(&self, id: ProductId, page: u64) -> Vec<StockMovement> {
        let (mut movements, mut after) = (Vec::new(), None);
        loop {
            let page = self.products.movements(id, after, limit(page)).await.unwrap().unwrap();
            movements.extend(page.items);
            after = page.next;
            if after.is_none() {
                return movements;
            }
        }
    }

    /// The products whose stock is not what the ledger says, looked for two at a time.
    async fn drifted(&self) -> Vec<ProductId> {
        let (mut drifted, mut checked, mut last) = (Vec::new(), 0, None);
        loop {
            let batch = self.products.check_stock(last, 2).await.unwrap();
            drifted.extend(batch.drifted);
            checked += batch.checked;
            last = batch.last;
            if last.is_none() {
                assert_eq!(checked, self.products.count().await.unwrap(), "each is looked at once");
                return drifted;
            }
        }
    }

    async fn assert_ledger_is_stock(&self) {
        assert_eq!(self.drifted().await, Vec::<ProductId>::new());
    }
}

fn search(text: &str) -> ProductFilter {
    ProductFilter { search: Some(SearchText::new(text).unwrap()), ..ProductFilter::default() }
}

#[tokio::test]
async fn a_product_is_found_as_it_was_created() {
    let shop = Catalogue::open().await;
    let created = shop.create("Anvil", 4999, 3, 0).await;
    assert_eq!(shop.find(created.id).await, created);
    assert_eq!(shop.products.find(new_uuid().into()).await.unwrap(), None);
    let [first] = &shop.ledger(created.id, 10).await[..] else { panic!("one entry") };
    assert_eq!((first.delta, first.stock_after.get(), first.actor_id), (3, 3, Some(shop.admin)));
    assert_eq!(first.reason.as_str(), "initial stock");
    let empty = shop.create("Feather", 1, 0, 0).await;
    assert_eq!(shop.ledger(empty.id, 10).await, []);
    shop.assert_ledger_is_stock().await;
}

#[tokio::test]
async fn lists_come_in_every_order_in_pages_of_every_size() {
    let shop = Catalogue::open().await;
    for (name, minor, second) in [("banana", 300, 1), ("Apple", 200, 2), ("cherry", 100, 3), ("Zucchini", 200, 3)] {
        shop.create(name, minor, 1, second).await;
    }
    let by_id = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
    for page in [1, 2, 3, 4, 100] {
        let all = async |order| shop.names(&ProductFilter::default(), order, page).await;
        assert_eq!(all(ProductOrder::ByName(None)).await, ["Apple", "banana", "cherry", "Zucchini"]);
        assert_eq!(all(ProductOrder::Oldest(None)).await, ["banana", "Apple", "cherry", "Zucchini"]);
        assert_eq!(all(ProductOrder::Newest(None)).await, ["Zucchini", "cherry", "Apple", "banana"]);
        let cheapest = all(ProductOrder::Cheapest(None)).await;
        assert_eq!((&cheapest[..1], &cheapest[3..]), (&["cherry".to_owned()][..], &["banana".to_owned()][..]));
        assert_eq!(cheapest[1..3], by_id("Apple", "Zucchini"));
        let mut dearest = all(ProductOrder::Dearest(None)).await;
        dearest.reverse();
        assert_eq!(dearest, cheapest);
    }
}

#[tokio::test]
async fn filters_hold_together() {
    let shop = Catalogue::open().await;
    shop.create("Oak table", 10_000, 1, 1).await;
    shop.create("Pine table", 5_000, 0, 2).await;
    shop.create("Oak chair", 2_000, 5, 3).await;
    let names = async |filter: ProductFilter| shop.names(&filter, ProductOrder::ByName(None), 100).await;
    assert_eq!(names(search("TABLE")).await, ["Oak table", "Pine table"]);
    assert_eq!(names(search("about oak")).await, ["Oak chair", "Oak table"]);
    assert_eq!(names(ProductFilter { in_stock: true, ..search("table") }).await, ["Oak table"]);
    let from_20 = ProductFilter { min_price_minor: Some(2_000), ..ProductFilter::default() };
    assert_eq!(names(from_20.clone()).await.len(), 3);
    assert_eq!(names(ProductFilter { max_price_minor: Some(4_999), ..from_20 }).await, ["Oak chair"]);
    assert_eq!(names(ProductFilter { min_price_minor: Some(0), ..ProductFilter::default() }).await.len(), 3);
}

#[tokio::test]
async fn a_search_takes_wildcards_literally_and_folds_every_alphabet() {
    let shop = Catalogue::open().await;
    shop.create("50% off_er", 100, 1, 1).await;
    shop.create("500 offer", 100, 1, 2).await;
    shop.create("Über\\Größe", 100, 1, 3).await;
    let names = async |text: &str| shop.names(&search(text), ProductOrder::Oldest(None), 100).await;
    assert_eq!(names("0%").await, ["50% off_er"]);
    assert_eq!(names("f_e").await, ["50% off_er"]);
    assert_eq!(names("ÜBER\\GRÖSSE").await, Vec::<String>::new());
    assert_eq!(names("ÜBER\\grö").await, ["Über\\Größe"]);
    assert_eq!(names("'; DROP TABLE products --").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_neither_repeat_nor_skip_while_others_insert() {
    let shop = Catalogue::open().await;
    // Few prices and moments, so that pages end between equals.
    for number in 0..60 {
        shop.create(&format!("old {number:03}"), 100 + number % 3, 1, number % 4).await;
    }
    let orders = [
        ProductOrder::Newest(None),
        ProductOrder::Oldest(None),
        ProductOrder::Cheapest(None),
        ProductOrder::Dearest(None),
        ProductOrder::ByName(None),
    ];
    let insert = async {
        for number in 0..120 {
            shop.create(&format!("new {number:03}"), 100 + number % 3, 1, number % 4).await;
        }
    };
    let everything = ProductFilter::default();
    let read = join_all(orders.map(|order| shop.names(&everything, order, 7)));
    let ((), lists) = tokio::join!(insert, read);
    for names in lists {
        let old: Vec<_> = names.iter().filter(|name| name.starts_with("old")).collect();
        assert_eq!(old.len(), 60);
        let different: HashSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }
}

#[tokio::test]
async fn names_are_unique_in_every_case_among_products_on_sale() {
    let shop = Catalogue::open().await;
    let first = shop.create("Éclair", 100, 1, 0).await;
    let taken = shop.try_create("éCLAIR", 100, 1, 0).await;
    assert!(matches!(taken, Err(CreateProductError::NameTaken)), "{taken:?}");
    let other = shop.create("Brioche", 100, 1, 0).await;
    let renamed = shop.edit(other.id, named("ÉCLAIR"), None).await;
    assert!(matches!(renamed, Err(EditProductError::NameTaken)), "{renamed:?}");
    // Its own name in another case is no clash.
    shop.edit(first.id, named("ÉCLAIR"), None).await.unwrap();

    shop.archive(first.id).await.unwrap();
    shop.edit(other.id, named("éclair"), None).await.unwrap();
    shop.assert_ledger_is_stock().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_take_a_name_at_once_one_gets_it() {
    let shop = Catalogue::open().await;
    let attempts = join_all((0..20).map(|n| {
        let name = if n % 2 == 0 { "Anvil" } else { "ANVIL" };
        shop.try_create(name, 100, 1, 0)
    }))
    .await;
    assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 1);
    for refused in attempts.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, CreateProductError::NameTaken), "{refused:?}");
    }
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM products").await, 1);
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM stock_movements").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_products_that_swap_names_at_once_are_refused_and_not_failed() {
    let shop = Catalogue::open().await;
    let (one, other) = (shop.create("Left", 100, 1, 0).await, shop.create("Right", 100, 1, 0).await);
    for _ in 0..10 {
        let (left, right) =
            tokio::join!(shop.edit(one.id, named("Right"), None), shop.edit(other.id, named("Left"), None));
        for outcome in [left, right] {
            assert!(matches!(outcome, Err(EditProductError::NameTaken)), "{outcome:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_edits_that_saw_the_same_version_one_wins() {
    let shop = Catalogue::open().await;
    let mut product = shop.create("Anvil", 100, 10, 0).await;
    for round in 0..5 {
        let edits = (0..8).map(|n| {
            let new_price = ProductChanges { price: Some(price(200 + n)), ..ProductChanges::default() };
            let changes = if round % 2 == 0 { new_price } else { stocked(50 + n) };
            shop.edit(product.id, changes, Some(seen(&product)))
        });
        let mut won = Vec::new();
        for outcome in join_all(edits).await {
            match outcome {
                Ok(edited) => won.push(edited),
                Err(refused) => assert!(matches!(refused, EditProductError::PreconditionFailed), "{refused:?}"),
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(shop.find(product.id).await, won[0]);
        assert_eq!(won[0].edit_version, product.edit_version.next());
        product = won.remove(0);
    }
    shop.assert_ledger_is_stock().await;
}

#[tokio::test]
async fn an_editor_is_not_disturbed_by_sales_unless_the_edit_sets_the_stock() {
    let shop = Catalogue::open().await;
    let before = shop.create("Anvil", 100, 10, 0).await;
    shop.adjust(before.id, -4).await.unwrap();
    let refused = shop.edit(before.id, stocked(9), Some(seen(&before))).await;
    assert!(matches!(refused, Err(EditProductError::PreconditionFailed)), "{refused:?}");
    let edited = shop.edit(before.id, named("Anvil II"), Some(seen(&before))).await.unwrap();
    assert_eq!((edited.stock.get(), edited.name.as_str()), (6, "Anvil II"));
    assert_eq!(edited, shop.find(before.id).await);
}

#[tokio::test]
async fn an_edit_writes_what_it_sets_to_the_ledger_and_an_empty_one_writes_nothing() {
    let shop = Catalogue::open().await;
    let product = shop.create("Anvil", 100, 10, 0).await;
    let unchanged = shop.edit(product.id, ProductChanges::default(), None).await.unwrap();
    assert_eq!(unchanged, product);
    shop.edit(product.id, stocked(4), None).await.unwrap();
    shop.edit(product.id, stocked(4), None).await.unwrap();
    let deltas: Vec<i64> = shop.ledger(product.id, 1).await.iter().map(|movement| movement.delta).collect();
    assert_eq!(deltas, [-6, 10]);
    shop.assert_ledger_is_stock().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_adjustments_never_go_below_zero_and_keep_the_ledger() {
    let shop = Catalogue::open().await;
    let product = shop.create("Anvil", 100, 10, 0).await;
    let outcomes = join_all((0..40).map(|n| shop.adjust(product.id, if n % 4 == 0 { 1 } else { -1 }))).await;
    let (mut stock, mut refused) = (10, 0);
    for outcome in outcomes {
        match outcome {
            Ok(movement) => stock += movement.delta,
            Err(AdjustStockError::Insufficient(InsufficientStock { available: 0, requested: 1, .. })) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    // 20 units were there or came in; what of the 30 asked for was refused found none just then.
    assert_eq!(refused, 30 - 20 + stock);
    assert_eq!(shop.find(product.id).await.stock.get().cast_signed(), stock);
    shop.assert_ledger_is_stock().await;

    let ledger = shop.ledger(product.id, 7).await;
    let mut running = 0;
    for movement in ledger.iter().rev() {
        running += movement.delta;
        assert_eq!(movement.stock_after.get().cast_signed(), running, "the ledger is not in order");
    }
}

#[tokio::test]
async fn an_archived_product_is_gone_from_lists_and_does_not_change_any_more() {
    let shop = Catalogue::open().await;
    let product = shop.create("Anvil", 100, 10, 0).await;
    shop.archive(product.id).await.unwrap();
    assert_eq!(shop.names(&ProductFilter::default(), ProductOrder::default(), 10).await, Vec::<String>::new());
    assert_eq!(shop.find(product.id).await.archived_at, Some(at(2000)));
    assert_eq!(shop.ledger(product.id, 10).await.len(), 1);
    assert!(matches!(shop.archive(product.id).await, Err(ArchiveProductError::NotFound)));
    assert!(matches!(shop.edit(product.id, named("Other"), None).await, Err(EditProductError::NotFound)));
    assert!(matches!(shop.adjust(product.id, 1).await, Err(AdjustStockError::NotFound)));
}

#[tokio::test]
async fn what_was_never_there_is_not_found() {
    let shop = Catalogue::open().await;
    let id = new_uuid().into();
    assert!(matches!(shop.archive(id).await, Err(ArchiveProductError::NotFound)));
    assert!(matches!(shop.edit(id, named("Other"), None).await, Err(EditProductError::NotFound)));
    assert!(matches!(shop.adjust(id, 1).await, Err(AdjustStockError::NotFound)));
    assert_eq!(shop.products.movements(id, None, limit(10)).await.unwrap(), None);
}

#[tokio::test]
async fn drift_is_found_whether_the_stock_or_the_ledger_is_wrong() {
    let shop = Catalogue::open().await;
    let right = shop.create("Right", 100, 5, 0).await;
    let stock = shop.create("Stock", 100, 5, 1).await;
    let ledger = shop.create("Ledger", 100, 5, 2).await;
    let empty = shop.create("Empty", 100, 0, 3).await;
    let sql = |text: String| async { shop.database.run_sql(&{ text }).await.unwrap() };
    sql(format!("UPDATE products SET stock = 6 WHERE id = '{}'", stock.id)).await;
    sql(format!("UPDATE stock_movements SET stock_after = 4 WHERE product_id = '{}'", ledger.id)).await;
    sql(format!("UPDATE products SET stock = 1 WHERE id = '{}'", empty.id)).await;
    assert_eq!(shop.drifted().await, [stock.id, ledger.id, empty.id]);
    assert!(!shop.drifted().await.contains(&right.id));
}

#[tokio::test]
async fn the_database_holds_the_rules_by_name_too() {
    let shop = Catalogue::open().await;
    let product = shop.create("Anvil", 100, 5, 0).await;
    let customer = shop.database.customer().await;
    for (statement, constraint) in [
        ("UPDATE products SET stock = -1", "products_stock_not_negative"),
        ("UPDATE products SET price_minor = 0", "products_price_positive"),
        ("UPDATE products SET price_minor = 10000000000", "products_price_positive"),
        ("UPDATE products SET name = 'A'", "products_name_length"),
        ("UPDATE products SET description = ''", "products_description_length"),
        ("UPDATE products SET edit_version = 0", "products_edit_version_positive"),
        ("UPDATE stock_movements SET delta = 0", "stock_movements_delta_not_zero"),
        ("UPDATE stock_movements SET stock_after = -1", "stock_movements_stock_after_not_negative"),
        ("UPDATE stock_movements SET reason = ''", "stock_movements_reason_length"),
        ("UPDATE stock_movements SET actor_id = product_id", "stock_movements_actor_id_fkey"),
        ("DELETE FROM products", "stock_movements_product_id_fkey"),
        ("INSERT INTO cart_items VALUES ('{customer}', '{product}', 0, now())", "cart_items_quantity_bounded"),
        ("INSERT INTO cart_items VALUES ('{customer}', '{product}', 1001, now())", "cart_items_quantity_bounded"),
        ("INSERT INTO cart_items VALUES ('{customer}', '{customer}', 1, now())", "cart_items_product_id_fkey"),
        ("INSERT INTO cart_items VALUES ('{product}', '{product}', 1, now())", "cart_items_user_id_fkey"),
        ("INSERT INTO carts VALUES ('{product}', now())", "carts_user_id_fkey"),
    ] {
        let statement =
            statement.replace("{customer}", &customer.to_string()).replace("{product}", &product.id.to_string());
        match shop.database.run_sql(&statement).await {
            Err(diesel::result::Error::DatabaseError(_, information)) => {
                assert_eq!(information.constraint_name(), Some(constraint), "{statement}: {}", information.message());
            }
            other => panic!("{statement}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn writes_are_parsed_once_per_connection() {
    let shop = Catalogue::on(Database::with_pool(|config| config.max_connections = 1).await).await;
    for number in 0..5 {
        let product = shop.create(&format!("Anvil {number}"), 100, 5, 0).await;
        shop.adjust(product.id, -1).await.unwrap();
        shop.edit(product.id, stocked(9), None).await.unwrap();
        shop.archive(product.id).await.unwrap();
    }
    let uses = shop
        .database
        .texts(
            "SELECT format('%s %s', split_part(statement, ' SET ', 1), generic_plans + custom_plans) AS t
             FROM pg_prepared_statements WHERE statement ~ '^(INSERT|UPDATE)' ORDER BY 1",
        )
        .await;
    let of = |beginning: &str| uses.iter().filter(|used| used.starts_with(beginning)).collect::<Vec<_>>();
    let [created] = of("INSERT INTO \"products\"")[..] else { panic!("{uses:?}") };
    assert!(created.ends_with(" 5"), "{created}");
    let [recorded] = of("INSERT INTO \"stock_movements\"")[..] else { panic!("{uses:?}") };
    assert!(recorded.ends_with(" 15"), "{recorded}");
    // Three kinds of update: adjust, edit, archive; each prepared once and used five times.
    let updates = of("UPDATE \"products\"");
    assert_eq!(updates.len(), 3, "{uses:?}");
    assert!(updates.iter().all(|used| used.ends_with(" 5")), "{uses:?}");
}

#[tokio::test]
async fn filtered_lists_are_planned_for_their_filter_and_plain_ones_once() {
    let shop = Catalogue::on(Database::with_pool(|config| config.max_connections = 1).await).await;
    shop.create("Anvil", 100, 5, 0).await;
    for text in ["anvil", "nothing", "vil"] {
        shop.names(&search(text), ProductOrder::default(), 10).await;
        shop.names(&ProductFilter::default(), ProductOrder::default(), 10).await;
    }
    let kept = async |pattern: &str| {
        let count = format!("SELECT count(*) AS n FROM pg_prepared_statements WHERE statement LIKE '{pattern}'");
        shop.database.number(&count).await
    };
    assert_eq!(kept("SELECT \"products\"%\"search_text\" LIKE%").await, 0);
    assert_eq!(kept("SELECT \"products\"%\"archived_at\" IS NULL%").await, 1);
}

#[tokio::test]
async fn a_sale_stays_within_its_page_of_the_table() {
    let shop = Catalogue::on(Database::with_pool(|config| config.max_connections = 1).await).await;
    let product = shop.create("Anvil", 100, 50, 0).await;
    for _ in 0..20 {
        shop.adjust(product.id, -1).await.unwrap();
    }
    shop.database.run_sql("SELECT pg_stat_force_next_flush()").await.unwrap();
    let hot = "SELECT n_tup_hot_upd AS n FROM pg_stat_user_tables WHERE relname = 'products'";
    let updated = "SELECT n_tup_upd AS n FROM pg_stat_user_tables WHERE relname = 'products'";
    assert_eq!(shop.database.number(updated).await, 20);
    assert_eq!(shop.database.number(hot).await, 20);
}
