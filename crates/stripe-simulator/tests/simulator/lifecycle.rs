//! Starting and stopping.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use stripe_simulator::{SimulatorConfig, StartError, StripeSimulator};

use crate::support::Stripe;

#[tokio::test]
async fn a_stopped_simulator_frees_its_port_at_once() {
    let simulator = StripeSimulator::start(SimulatorConfig::default()).await.unwrap();
    let listen = simulator.address();
    simulator.stop().await;
    let again = StripeSimulator::start(SimulatorConfig { listen, ..SimulatorConfig::default() }).await.unwrap();
    assert_eq!(again.address(), listen);
    again.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let taken = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let listen = taken.local_addr().unwrap();
    let error = StripeSimulator::start(SimulatorConfig { listen, ..SimulatorConfig::default() }).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }));
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
}

#[tokio::test]
async fn many_simulators_run_side_by_side_and_know_nothing_of_each_other() {
    let mut all = Vec::new();
    for _ in 0..10 {
        all.push(Stripe::start().await);
    }
    for stripe in &all {
        stripe.open_session().await;
    }
    for stripe in all {
        assert_eq!(stripe.control().sessions().len(), 1);
        stripe.simulator.stop().await;
    }
}

#[tokio::test]
async fn pages_are_at_the_public_address() {
    let config = SimulatorConfig { public_url: Some("http://pay.example/".to_owned()), ..SimulatorConfig::default() };
    let simulator = StripeSimulator::start(config).await.unwrap();
    assert_eq!(simulator.base_url(), "http://pay.example");
    simulator.stop().await;
}
