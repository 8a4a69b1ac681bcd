//! What a client with transactions asks the coordinator for: calls that take as long as they may and are asked again, requests
//! that are lost, late, done without an answer, or refused; and what it means to the client.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::oracle::Place;
use super::transactions::Says;
use super::world::{Due, World};
use crate::kafka::membership::Membership;
use crate::sink::client::Report;
use crate::sink::transaction::client::{Failed, Remedy};

/// So often an incarnation is told that it is shut out by its name; five times within 30 s would end the program. From then
/// on it hears of it by other words.
const SHUT_OUT: u32 = 3;

/// What a client asks the coordinator for.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Init,
    Offsets(Vec<(i32, i64, String)>, Membership),
    End { commit: bool },
}

impl Ask {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::End { commit }, Self::End { commit: other }) => commit == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// A client's part: which name it has, and what it waits for.
pub(super) struct Transacting {
    pub of: usize,
    /// Since it was made ready.
    pub epoch: Option<u32>,
    begun: bool,
    /// Something was asked of the coordinator in the transaction that is begun.
    touched: bool,
    /// What was given up may have been written: after an abort it is of no use.
    pub in_doubt: bool,
    call: Option<Call>,
}

/// What a client has asked for and not heard the outcome of.
struct Call {
    ask: Ask,
    request: u64,
    answer: Option<Result<(), Failed>>,
    /// The answer has come.
    heard: bool,
}

/// On its way to the coordinator, whatever became of its sender.
pub(super) struct Request {
    pub client: usize,
    pub epoch: Option<u32>,
    pub ask: Ask,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Good,
    /// It comes a second time, and not a first.
    Lost,
    /// It comes twice: the answer to the first is lost.
    AnswerLost,
    /// Not done; may be asked again.
    Refused,
    /// The transaction is to be aborted, and what was asked for is done or not.
    Aborts {
        done: bool,
    },
    /// The same, and the client breaks.
    Breaks {
        done: bool,
    },
}

impl Transacting {
    /// Of a client that is not made ready.
    pub(super) fn new(of: usize) -> Self {
        Self { of, epoch: None, begun: false, touched: false, in_doubt: false, call: None }
    }
}

impl World {
    /// The application begins a transaction.
    pub(super) fn begin(&mut self, client: usize) -> Result<(), Failed> {
        if self.producing.producers[client].fatal {
            return Err(failed(Code::Fatal, Remedy::Rebuild));
        }
        let transacting = self.transacting(client);
        let wrong = transacting.epoch.is_none() || transacting.begun;
        (transacting.begun, transacting.touched) = (true, false);
        if wrong && !self.producing.producers[client].dead {
            self.oracle.wrong("transaction", format!("producer {client} begins, and is not ready to"));
        }
        self.note(|| format!("producer {client} begins a transaction"));
        Ok(())
    }

    /// The application hands a record over.
    pub(super) fn touch(&mut self, client: usize, place: Place) {
        let transacting = self.transacting(client);
        transacting.touched = true;
        if !transacting.begun {
            self.oracle.wrong("transaction", format!("{place:?} is written outside of one"));
        }
    }

    /// The application asks for this, or asks for it again.
    pub(super) fn ask(&mut self, client: usize, ask: Ask) {
        let producer = &self.producing.producers[client];
        let (outstanding, fatal, dead) = (producer.outstanding, producer.fatal, producer.dead);
        if dead {
            return;
        }
        if matches!(ask, Ask::End { commit: false }) && outstanding > 0 && !fatal {
            return self.give_up_queued(client);
        }
        let transacting = self.transacting(client);
        if let Some(call) = &transacting.call {
            if !call.ask.is_same(&ask) {
                // The one before goes on, and may still be done.
                let answer = Some(Err(failed(Code::State, Remedy::Rebuild)));
                transacting.call = Some(Call { ask, request: 0, answer, heard: true });
            }
            return;
        }
        let untouched = matches!(ask, Ask::End { .. }) && !transacting.touched;
        // Who stops in the middle of a recovery aborts once more, to be sure.
        let in_vain = matches!(ask, Ask::End { commit: false }) && !transacting.begun;
        let at_once = match () {
            () if fatal => Some(Err(failed(Code::Fatal, Remedy::Rebuild))),
            () if in_vain => Some(Err(failed(Code::State, Remedy::Rebuild))),
            () if untouched => Some(Ok(())),
            () => None,
        };
        let (begun, epoch) = (transacting.begun, transacting.epoch);
        transacting.touched |= matches!(ask, Ask::Offsets(..));
        let request = self.transactions.next();
        self.transacting(client).call =
            Some(Call { ask: ask.clone(), request, answer: at_once.clone(), heard: at_once.is_some() });
        if at_once.is_some() {
            return self.settled(client, request, &ask);
        }
        if !begun && !matches!(ask, Ask::Init) || outstanding > 0 {
            let what =
                format!("producer {client} asks for {ask:?}, begun: {begun}, {outstanding} not reported");
            self.oracle.wrong("transaction", what);
        }
        self.note(|| format!("producer {client} asks for {ask:?} ({request})"));
        let fate = self.fate(&ask);
        self.transactions.requests.insert(request, Request { client, epoch, ask, fate });
        let late = self.chances().call_late;
        let time = self.latency() * if self.happens(late) { 60 } else { 1 };
        self.after(time, Due::Asked(request));
    }

    fn fate(&mut self, ask: &Ask) -> Fate {
        let (chances, init) = (self.chances(), matches!(ask, Ask::Init));
        let done = self.random.bool();
        match () {
            () if self.happens(chances.call_lost) => Fate::Lost,
            () if self.happens(chances.call_answer_lost) => Fate::AnswerLost,
            () if self.happens(chances.call_refused) => match self.random.bool() {
                _ if init => Fate::Refused,
                false => Fate::Refused,
                true => Fate::Aborts { done },
            },
            () if self.happens(chances.call_breaks) => Fate::Breaks { done },
            () => Fate::Good,
        }
    }

    /// What came of the call, if it is known.
    pub(super) fn outcome(&mut self, client: usize) -> Option<Result<(), Failed>> {
        self.transacting(client).call.take_if(|call| call.heard)?.answer
    }

    /// A request reaches the coordinator.
    pub(super) fn asked(&mut self, number: u64) {
        if self.is_silent() {
            let time = self.silent_until - crate::sync::model::now();
            return self.after(time, Due::Asked(number));
        }
        let Some(mut request) = self.transactions.requests.remove(&number) else { return };
        let fate = std::mem::replace(&mut request.fate, Fate::Good);
        let does = match fate {
            Fate::Good | Fate::AnswerLost => true,
            Fate::Lost | Fate::Refused => false,
            Fate::Aborts { done } | Fate::Breaks { done } => done,
        };
        let says = if does { self.coordinate(&request) } else { Says::Done };
        let again = matches!(fate, Fate::Lost | Fate::AnswerLost);
        if again || matches!(says, Says::Later) {
            request.fate = if again { Fate::Good } else { fate };
            let time = (self.latency() + Duration::from_millis(1)) * if again { 40 } else { 1 };
            self.transactions.requests.insert(number, request);
            return self.after(time, Due::Asked(number));
        }
        let client = request.client;
        let answer = match (says, fate) {
            (Says::ShutOut, _) => Err(self.shut_out(client)),
            (Says::Wrong, _) => Err(self.breaks(client, Code::InvalidTransactionalState)),
            (_, Fate::Breaks { .. }) => Err(self.breaks(client, Code::OutOfOrderSequenceNumber)),
            (Says::Abort(code), _) => Err(failed(code, Remedy::Abort)),
            (_, Fate::Aborts { .. }) => Err(failed(Code::RequestTimedOut, Remedy::Abort)),
            (_, Fate::Refused) => Err(failed(Code::NotCoordinator, Remedy::Again)),
            _ => Ok(()),
        };
        self.note(|| format!("request {number} is answered: {answer:?} ({fate:?})"));
        if let Some(call) = self.transacting(client).call.as_mut().filter(|call| call.request == number) {
            call.answer = Some(answer);
        }
        self.settled(client, number, &request.ask);
        let time = self.latency();
        self.after(time, Due::Answered(client, number));
    }

    /// The answer is back.
    pub(super) fn answered_to(&mut self, client: usize, request: u64) {
        let bell = self.producing.producers[client].bell.clone();
        if let Some(call) = self.transacting(client).call.as_mut().filter(|call| call.request == request) {
            call.heard = true;
        }
        self.ring(bell);
    }

    /// What an answer means to the client itself.
    fn settled(&mut self, client: usize, request: u64, ask: &Ask) {
        let Some(call) = self.transacting(client).call.as_mut().filter(|call| call.request == request) else {
            return;
        };
        if !matches!(call.answer, Some(Ok(()))) || !matches!(ask, Ask::End { .. }) {
            return;
        }
        let transacting = self.transacting(client);
        transacting.begun = false;
        if transacting.in_doubt && matches!(ask, Ask::End { commit: false }) {
            let answer = Some(Err(failed(Code::Inconsistent, Remedy::Rebuild)));
            if let Some(call) = &mut transacting.call {
                call.answer = answer;
            }
        }
    }

    /// The client hears that its epoch is over.
    pub(super) fn shut_out(&mut self, client: usize) -> Failed {
        let instance = self.producing.producers[client].instance;
        let times = self.name_of(client).told.entry(instance).or_default();
        *times += 1;
        let codes = [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch];
        let code =
            if *times > SHUT_OUT { Code::InvalidProducerIdMapping } else { codes[*times as usize % 3] };
        self.breaks(client, code)
    }

    /// From now on the client is of no use.
    fn breaks(&mut self, client: usize, code: Code) -> Failed {
        self.note(|| format!("producer {client} is broken: {code:?}"));
        self.producing.producers[client].fatal = true;
        failed(code, Remedy::Rebuild)
    }

    /// The newest client of a name breaks, and says so.
    pub(super) fn break_named(&mut self) {
        let all: Vec<usize> = self.transactions.names.iter().map(|name| name.client).collect();
        let is_alive = |client: &usize| {
            let producer = &self.producing.producers[*client];
            !producer.dead && !producer.fatal
        };
        let alive: Vec<usize> = all.into_iter().filter(is_alive).collect();
        if alive.is_empty() {
            return;
        }
        let client = alive[self.random.usize(..alive.len())];
        let instance = self.producing.producers[client].instance;
        let times = self.name_of(client).told.entry(instance).or_default();
        if *times < SHUT_OUT {
            *times += 1;
            self.breaks(client, Code::Fatal);
            self.report(client, Report::Error(Code::Fatal, "broken".to_owned()));
        }
    }
}

pub(super) fn failed(code: Code, remedy: Remedy) -> Failed {
    Failed { code, text: format!("{code:?}"), remedy }
}
