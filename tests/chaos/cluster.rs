//! Three Kafka brokers with a proxy in front of each, started and ended by `scripts/kafka`.
//!
//! A broker has two doors: the one that the others, the generator and the oracle use, and the one whose advertised address
//! is the proxy. Only the processor comes through the second. It has to say a name and a password there, so that it can be
//! throttled and forbidden things, and nobody else with it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::proxy::{Proxy, Rules};

/// The user that the processor is.
pub(crate) const USER: &str = "processor";
/// Its password, on a loopback address, for the time of a run.
pub(crate) const PASSWORD: &str = "chaos";
/// How many brokers there are.
pub(crate) const BROKERS: u16 = 3;

/// A light compiler starts brokers sooner.
const JVM: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

/// The running cluster. Wiped when dropped, and by its script when this process is gone.
pub(crate) struct Cluster {
    script: PathBuf,
    /// Where the script keeps it.
    pub dir: PathBuf,
    extra: PathBuf,
    base_port: u16,
    proxies: Vec<Proxy>,
}

impl Cluster {
    /// Starts it; its files are in `work`.
    pub(crate) fn start(root: &Path, work: &Path) -> Result<Self, String> {
        let base_port = free_ports()?;
        let proxies =
            (1..=BROKERS).map(|n| Proxy::start(base_port + 10 * (n - 1) + 2)).collect::<Result<_, _>>()?;
        let cluster = Self {
            script: root.join("scripts/kafka"),
            dir: work.join("kafka"),
            extra: work.join("extra.properties"),
            base_port,
            proxies,
        };
        cluster.write_properties()?;
        cluster.kafka(&["start", "3"])?;
        Ok(cluster)
    }

    /// `scripts/kafka ARGUMENTS`; what it printed.
    pub(crate) fn kafka(&self, arguments: &[&str]) -> Result<String, String> {
        // Into files, not pipes: a broker that is launched keeps what its script had open.
        let (out, err) = (self.extra.with_extension("out"), self.extra.with_extension("err"));
        let file = |path: &Path| std::fs::File::create(path).map_err(|e| format!("{}: {e}", path.display()));
        let heap = std::env::var("KAFKA_HEAP").unwrap_or_else(|_| "384m".to_owned());
        let status = Command::new(&self.script)
            .args(arguments)
            .env("KAFKA_DIR", &self.dir)
            .env("KAFKA_PORT", self.base_port.to_string())
            .env("KAFKA_EXTRA", &self.extra)
            .env("KAFKA_OWNER", std::process::id().to_string())
            .env("KAFKA_HEAP", heap)
            .env("KAFKA_JVM", JVM)
            .env("KAFKA_START_TIMEOUT", "180")
            .stdin(Stdio::null())
            .stdout(file(&out)?)
            .stderr(file(&err)?)
            .status()
            .map_err(|e| format!("{} cannot be run: {e}", self.script.display()))?;
        let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        if status.success() {
            Ok(text(&out))
        } else {
            Err(format!("scripts/kafka {}: {}{}", arguments.join(" "), text(&err), text(&out)))
        }
    }

    /// One of Kafka's own tools, told where the brokers are.
    pub(crate) fn tool(&self, class: &str, arguments: &[&str]) -> Result<String, String> {
        let servers = self.servers();
        self.kafka(&[&["tool", class, "--bootstrap-server", &servers], arguments].concat())
    }

    /// To one broker: `kill`, `pause`, `resume`, `launch`, `restart`, `wait`.
    pub(crate) fn broker(&self, what: &str, number: u16) -> Result<(), String> {
        self.kafka(&[what, &number.to_string()]).map(drop)
    }

    /// Brings back whatever broker is dead or stopped.
    pub(crate) fn heal(&self) -> Result<(), String> {
        self.weather(Rules::default());
        for number in 1..=BROKERS {
            self.broker("resume", number)?;
            self.broker("launch", number)?;
        }
        (1..=BROKERS).try_for_each(|number| self.broker("wait", number))
    }

    /// The brokers themselves.
    pub(crate) fn servers(&self) -> String {
        list((0..BROKERS).map(|n| self.base_port + 10 * n))
    }

    /// The brokers as the processor sees them.
    pub(crate) fn proxied(&self) -> String {
        list(self.proxies.iter().map(Proxy::port))
    }

    /// The proxies.
    pub(crate) fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// The same rules at all proxies.
    pub(crate) fn weather(&self, rules: Rules) {
        self.proxies.iter().for_each(|proxy| proxy.rule(rules));
    }

    /// What the rules of all proxies have touched so far.
    pub(crate) fn touched(&self) -> u64 {
        self.proxies.iter().map(Proxy::touched).sum()
    }

    fn write_properties(&self) -> Result<(), String> {
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text).map_err(|e| format!("{} cannot be written: {e}", path.display()))
        };
        write(&self.extra, &for_all())?;
        for (index, proxy) in self.proxies.iter().enumerate() {
            let (number, base) = (index + 1, self.base_port + 10 * index as u16);
            write(&self.extra.with_extension(format!("properties.{number}")), &for_one(base, proxy.port()))?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The script looks after the cluster of a process that is gone: what fails here is done there.
        let _ = self.kafka(&["wipe"]);
    }
}

fn for_all() -> String {
    format!(
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:SASL_PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n\
         sasl.enabled.mechanisms=PLAIN\n\
         listener.name.proxied.plain.sasl.jaas.config=\
         org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\n\
         allow.everyone.if.no.acl.found=true\n\
         log.segment.delete.delay.ms=1000\n\
         leader.imbalance.check.interval.seconds=30\n"
    )
}

fn for_one(port: u16, proxy: u16) -> String {
    let (controller, behind) = (port + 1, port + 2);
    format!(
        "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},PROXIED://127.0.0.1:{behind}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxy}\n"
    )
}

fn list(ports: impl Iterator<Item = u16>) -> String {
    ports.map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
}

/// A port P such that P, P+1, P+2 are free, and the same 10 and 20 further up. Below those where outgoing connections begin.
fn free_ports() -> Result<u16, String> {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let all_free = |base: &u16| (0..BROKERS).all(|n| (0..3).all(|k| free(base + 10 * n + k)));
    (0..100).map(|_| fastrand::u16(16_000..31_000)).find(all_free).ok_or_else(|| "no free ports".to_owned())
}
