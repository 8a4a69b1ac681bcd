//! Requests that no client would send: none of them may panic, wait for ever, or take memory that was not sent.
//!
//! Valid requests of every kind and version, mutated. The short form runs with the other tests; the long one:
//! `FUZZ_ROUNDS=20000000 cargo test --release -p embedded-kafka fuzz`.

mod valid;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::Options;
use crate::api::APIS;
use crate::cluster::Cluster;
use crate::server::Server;
use crate::topics::Settings;

fn rounds() -> u64 {
    std::env::var("FUZZ_ROUNDS").map_or(300_000, |n| n.parse().expect("FUZZ_ROUNDS is a number"))
}

fn server() -> Arc<Server> {
    let options = Options { auto_create: Some(2), retention_bytes: 10_000, ..Options::default() };
    let server = Server::new(Cluster::new(options, 1));
    server.cluster.lock().topics.create("a", 2, Settings::default()).expect("a new topic");
    server
}

/// Asks as somebody who does not wait for others, and tells whether there was an answer.
fn ask(server: &Server, frame: &[u8]) -> bool {
    server.answer(frame, "/127.0.0.1", &AtomicBool::new(true)).is_ok()
}

/// Every kind of request, in every version that is spoken.
fn kinds() -> impl Iterator<Item = (i16, i16)> {
    APIS.iter().flat_map(|api| (api.min..=api.max).map(|version| (api.key, version)))
}

fn mutate(frame: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..frame.len());
        match random.u8(..7) {
            0 => frame[at] = random.u8(..),
            1 => frame[at] ^= 1 << random.u8(..8),
            2 => frame.truncate(at + 1),
            3 => drop(frame.splice(at..at, (0..random.usize(..9)).map(|_| random.u8(..)))),
            4 => drop(frame.drain(at..(at + random.usize(..9)).min(frame.len() - 1).max(at))),
            5 => overwrite(frame, at, &[0x7f, 0xff, 0xff, 0xff][..random.usize(1..5)]),
            _ => overwrite(frame, at, &[0xff; 8][..[1, 2, 4, 8][random.usize(..4)]]),
        }
    }
}

fn overwrite(frame: &mut [u8], at: usize, bytes: &[u8]) {
    let end = frame.len().min(at + bytes.len());
    frame[at..end].copy_from_slice(&bytes[..end - at]);
}

/// The seeds of all that follows are answered: without that the rest would try nothing.
#[test]
fn every_valid_request_is_answered() {
    for (key, version) in kinds() {
        let server = server();
        assert!(ask(&server, &valid::frame(key, version)), "request {key} version {version}");
    }
}

/// What is left unread would be taken for granted.
#[test]
fn every_request_is_read_to_its_last_byte() {
    let cut_short = |(key, version)| {
        let (server, frame) = (server(), valid::frame(key, version));
        ask(&server, &frame[..frame.len() - 1])
    };
    let understood: Vec<_> = kinds().filter(|kind| cut_short(*kind)).collect();
    assert_eq!(understood, [], "kinds and versions");
}

#[test]
fn no_mutation_of_a_request_makes_a_panic() {
    let seed =
        std::env::var("FUZZ_SEED").map_or_else(|_| fastrand::u64(..), |s| s.parse().expect("a number"));
    println!("FUZZ_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let kinds: Vec<_> = kinds().collect();
    let mut answered: HashMap<i16, u64> = HashMap::new();
    let mut server = server();
    for round in 0..rounds() {
        let (key, version) = kinds[random.usize(..kinds.len())];
        let mut frame = valid::frame(key, version);
        if random.u8(..8) > 0 {
            mutate(&mut frame, &mut random);
        }
        *answered.entry(key).or_default() += u64::from(ask(&server, &frame));
        if round % 64 == 0 {
            server.cluster.tick();
        }
        if round % 20_000 == 0 {
            server = self::server();
        }
    }
    for api in &APIS {
        let count = answered.get(&api.key).copied().unwrap_or(0);
        assert!(count > rounds() / 10_000, "{:?} was answered {count} times only", api.request);
    }
}

#[test]
fn noise_makes_no_panic() {
    let server = server();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..rounds() / 10 {
        let frame: Vec<_> = (0..random.usize(..200)).map(|_| random.u8(..)).collect();
        ask(&server, &frame);
    }
}
