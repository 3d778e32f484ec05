//! The keys' repository against a model: random claims, signs of life, answers, effects, silence and age, on PostgreSQL,
//! and every answer compared. Claims that were lost are used again and again: none of them may ever have an effect.

use std::collections::HashMap;

use adapters_postgres::{PgIdempotency, PgOrders, PgRetention};
use chrono::{DateTime, Utc};
use domain::id::{AttemptId, OrderId, UserId};
use domain::idempotency::{
    Claim, ClaimRequest, Claiming, IdempotencyKey, IdempotencyRepository, KeptAnswer, RequestFingerprint,
};
use domain::order::{OrderRepository, StartPayment, StartPaymentError};
use domain::retention::{Perishable, RetentionRepository};
use ironcart_tests::actors::Customer;
use ironcart_tests::shop::{Plan, TestShop};
use ironcart_tests::trials;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::json;

/// How many steps one sequence has; 400 sequences are 20,000 steps.
const STEPS: usize = 50;
const KEYS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// A request with one of the keys and one of the bodies.
    Claim {
        key: usize,
        body: u8,
    },
    /// A sign of life under any claim ever granted.
    Renew {
        claim: usize,
    },
    Keep {
        claim: usize,
        answer: KeptAnswer,
    },
    Release {
        claim: usize,
    },
    /// The effect's transaction.
    Commit {
        claim: usize,
    },
    /// The claim's last sign of life is 15 s old.
    Silence {
        key: usize,
    },
    /// The key is 24 h old.
    Age {
        key: usize,
    },
    Prune,
}

fn answer() -> impl Strategy<Value = KeptAnswer> {
    let location = proptest::option::of("/api/v1/orders/[a-f0-9]{1,12}");
    (200_u16..500, "[a-z]{1,8}/[a-z]{1,8}", location, vec(any::<u8>(), 0..64))
        .prop_map(|(status, content_type, location, body)| KeptAnswer { status, content_type, location, body })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..KEYS, 0_u8..2).prop_map(|(key, body)| Step::Claim { key, body }),
        1 => any::<prop::sample::Index>().prop_map(|at| Step::Renew { claim: at.index(usize::MAX) }),
        2 => (any::<prop::sample::Index>(), answer())
            .prop_map(|(at, answer)| Step::Keep { claim: at.index(usize::MAX), answer }),
        2 => any::<prop::sample::Index>().prop_map(|at| Step::Release { claim: at.index(usize::MAX) }),
        2 => any::<prop::sample::Index>().prop_map(|at| Step::Commit { claim: at.index(usize::MAX) }),
        3 => (0..KEYS).prop_map(|key| Step::Silence { key }),
        1 => (0..KEYS).prop_map(|key| Step::Age { key }),
        1 => Just(Step::Prune),
    ]
}

/// What the model knows of a key.
#[derive(Debug, Clone)]
struct Kept {
    body: u8,
    claim: u64,
    is_silent: bool,
    is_aged: bool,
    committed: Option<OrderId>,
    answer: Option<KeptAnswer>,
}

/// One sequence: a customer, their order, and the keys as the model sees them.
struct Trial<'a> {
    shop: &'a TestShop,
    keys: &'a PgIdempotency,
    orders: &'a PgOrders,
    user_id: UserId,
    order_id: OrderId,
    names: Vec<IdempotencyKey>,
    kept: HashMap<IdempotencyKey, Kept>,
    claims: Vec<Claim>,
}

impl Trial<'_> {
    fn wish(&self, key: usize, body: u8) -> ClaimRequest {
        let fingerprint = RequestFingerprint([body; 32]);
        ClaimRequest { user_id: self.user_id, key: self.names[key].clone(), fingerprint }
    }

    /// The key that a claim holds, if it still does.
    fn held_by(&mut self, claim: &Claim) -> Option<&mut Kept> {
        self.kept.get_mut(&claim.key).filter(|kept| kept.claim == claim.number)
    }

    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let number = |claim: &usize| claim.checked_rem(self.claims.len());
        match step {
            Step::Claim { key, body } => self.claim(*key, *body).await,
            Step::Renew { claim } => {
                let Some(claim) = number(claim).map(|at| self.claims[at].clone()) else { return Ok(()) };
                let renewed = self.keys.renew(&claim).await.unwrap();
                prop_assert_eq!(renewed, self.held_by(&claim).map(|kept| kept.is_silent = false).is_some());
                Ok(())
            }
            Step::Keep { claim, answer } => {
                let Some(claim) = number(claim).map(|at| self.claims[at].clone()) else { return Ok(()) };
                self.keys.keep(&claim, answer).await.unwrap();
                if let Some(kept) = self.held_by(&claim) {
                    kept.answer = Some(answer.clone());
                }
                Ok(())
            }
            Step::Release { claim } => {
                let Some(claim) = number(claim).map(|at| self.claims[at].clone()) else { return Ok(()) };
                self.keys.release(&claim).await.unwrap();
                if let Some(kept) = self.held_by(&claim) {
                    kept.is_silent = true;
                    if kept.committed.is_none() {
                        self.kept.remove(&claim.key);
                    }
                }
                Ok(())
            }
            Step::Commit { claim } => {
                let Some(claim) = number(claim).map(|at| self.claims[at].clone()) else { return Ok(()) };
                self.commit(claim).await
            }
            Step::Silence { key } => {
                self.set(*key, "alive_at = now() - interval '15 seconds'").await;
                let name = self.names[*key].clone();
                self.kept.entry(name).and_modify(|kept| kept.is_silent = true);
                Ok(())
            }
            Step::Age { key } => {
                self.set(*key, "created_at = now() - interval '24 hours'").await;
                let name = self.names[*key].clone();
                self.kept.entry(name).and_modify(|kept| kept.is_aged = true);
                Ok(())
            }
            Step::Prune => {
                let retention = PgRetention::new(self.shop.database.pool.clone());
                retention.forget(Perishable::IdempotencyKeys, self.shop.now(), 1000).await.unwrap();
                self.kept.retain(|_, kept| !kept.is_aged);
                Ok(())
            }
        }
    }

    async fn set(&self, key: usize, change: &str) {
        let name = self.names[key].as_str().replace('\'', "''");
        let rows = format!("user_id = '{}' AND key = '{name}'", self.user_id);
        self.shop.database.run_sql(&format!("UPDATE idempotency_keys SET {change} WHERE {rows}")).await.unwrap();
    }

    async fn claim(&mut self, key: usize, body: u8) -> Result<(), TestCaseError> {
        let wish = self.wish(key, body);
        let seen = self.keys.claim(&wish).await.unwrap();
        let known = self.kept.get(&wish.key).filter(|kept| !kept.is_aged).cloned();
        match (known, seen) {
            (None, Claiming::Granted(claim)) => self.granted(claim, body, None),
            (Some(kept), Claiming::Granted(claim)) => {
                prop_assert!(kept.is_silent && kept.answer.is_none() && kept.body == body, "granted: {:?}", kept);
                self.granted(claim, body, kept.committed)
            }
            (Some(kept), Claiming::Reused) => {
                prop_assert_ne!(kept.body, body);
                Ok(())
            }
            (Some(kept), Claiming::Answered(answer)) => {
                prop_assert_eq!(kept.body, body);
                prop_assert_eq!(kept.answer, Some(answer));
                Ok(())
            }
            (Some(kept), Claiming::InProgress { retry_seconds }) => {
                prop_assert!(kept.body == body && kept.answer.is_none() && !kept.is_silent, "in progress: {:?}", kept);
                prop_assert!((1..=Claim::CLAIM_SECONDS).contains(&retry_seconds));
                Ok(())
            }
            (None, other) => Err(TestCaseError::fail(format!("an unknown key is {other:?}"))),
        }
    }

    fn granted(&mut self, claim: Claim, body: u8, committed: Option<OrderId>) -> Result<(), TestCaseError> {
        prop_assert_eq!(claim.committed, committed);
        prop_assert!(self.claims.iter().all(|earlier| earlier.number != claim.number), "a number came twice");
        let kept = Kept { body, claim: claim.number, is_silent: false, is_aged: false, committed, answer: None };
        self.kept.insert(claim.key.clone(), kept);
        self.claims.push(claim);
        Ok(())
    }

    async fn commit(&mut self, claim: Claim) -> Result<(), TestCaseError> {
        let order_id = self.order_id;
        let command = StartPayment {
            order_id,
            customer_id: self.user_id,
            attempt_id: AttemptId::from(ironcart_tests::database::new_uuid()),
            at: self.shop.now(),
            policy: Plan::default().orders,
            claim: Some(claim.clone()),
        };
        let committed = self.orders.start_payment(&command).await;
        match (self.held_by(&claim), committed) {
            (Some(kept), Ok(_)) => {
                kept.committed = Some(order_id);
                kept.is_silent = false;
                Ok(())
            }
            (None, Err(StartPaymentError::ClaimLost(_))) => Ok(()),
            (held, other) => Err(TestCaseError::fail(format!("held: {held:?}, committed: {other:?}"))),
        }
    }
}

async fn customer_with_order(shop: &TestShop) -> (Customer, OrderId) {
    let product = shop.sells(&format!("Mug {}", ironcart_tests::database::new_uuid()), "10.00", 1).await;
    let customer = shop.customer().await;
    let _ = customer.adds(&product, 1).await.expect(200);
    let order = customer.checks_out_with(json!({ "payNow": false })).await.expect(201).order();
    (customer, OrderId::from(order.id.parse::<uuid::Uuid>().unwrap()))
}

#[test]
fn the_keys_do_what_the_model_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shop = runtime.block_on(TestShop::with(Plan::never_sweeps));
    let keys = PgIdempotency::new(shop.database.pool.clone());
    let orders = super::sweeping::orders_in(&shop);
    let began: DateTime<Utc> = shop.now();
    let outcome = trials::runner(400, 4_000).run(&vec(step(), STEPS), |steps| {
        runtime.block_on(async {
            let (customer, order_id) = customer_with_order(&shop).await;
            let user_id = UserId::from(customer.id.parse::<uuid::Uuid>().unwrap());
            let names = ["a", "~!@#$%^&*()'\"\\;--", &"x".repeat(255)].map(|key| IdempotencyKey::new(key).unwrap());
            let (kept, claims) = (HashMap::new(), Vec::new());
            let (keys, orders) = (&keys, &orders);
            let mut trial = Trial { shop: &shop, keys, orders, user_id, order_id, names: names.to_vec(), kept, claims };
            for step in &steps {
                trial.take(step).await?;
            }
            Ok(())
        })
    });
    println!("took {} s", (shop.now() - began).num_seconds());
    runtime.block_on(shop.close_unsettled());
    outcome.unwrap();
}
