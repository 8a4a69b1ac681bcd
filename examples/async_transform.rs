//! A transform that asks elsewhere: each record's value goes to a server, line by line, and the answer is what is written. Hundreds
//! of records wait at a time, on `WORKER_POOL` threads; each key's records come one after another all the same.
//!
//! `ASK=localhost:7000 KAFKA_SERVERS=localhost KAFKA_GROUP_ID=ask KAFKA_INPUT_TOPICS=in KAFKA_OUTPUT_TOPIC=out \
//! KAFKA_OFFSET_RESET=earliest cargo run --release --example async_transform run`

use std::time::Duration;

use processor::{AsyncTransform, Context, Outcome, Record};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// No answer takes longer: the record is tried again.
const PATIENCE: Duration = Duration::from_secs(2);

struct Ask {
    server: String,
    /// How many may ask at a time, whatever is in flight: the server's limit, not ours.
    turns: Semaphore,
}

impl AsyncTransform for Ask {
    async fn apply(&self, record: &Record, _: &Context) -> Outcome {
        let Some(value) = record.value() else { return Outcome::Filter };
        let Ok(_turn) = self.turns.acquire().await else { return Outcome::retry("ending", "no more turns") };
        match timeout(PATIENCE, self.ask(value)).await {
            Ok(Ok(answer)) => Outcome::value(answer),
            Ok(Err(error)) => Outcome::retry("no_answer", error.to_string()),
            Err(_) => Outcome::retry("late", format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    fn name(&self) -> &str {
        "ask"
    }
}

impl Ask {
    async fn ask(&self, question: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut server = BufReader::new(TcpStream::connect(&self.server).await?);
        server.write_all(&[question, b"\n"].concat()).await?;
        let mut answer = Vec::new();
        server.read_until(b'\n', &mut answer).await?;
        match answer.pop() {
            Some(b'\n') => Ok(answer),
            _ => Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn main() -> std::process::ExitCode {
    let server = std::env::var("ASK").unwrap_or_else(|_| "localhost:7000".to_owned());
    processor::main(Ask { server, turns: Semaphore::new(200) })
}
