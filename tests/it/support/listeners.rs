//! A real Kafka with a listener for each way in which a client and a broker can misunderstand each other, with certificates,
//! users and rights. There is one for all tests; whoever changes something of it takes a name of its own.

use std::fmt::Write as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use super::kafka::{self, Kafka};

/// How a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// In the clear; who comes here is the superuser.
    Plain,
    /// TLS with a certificate for 127.0.0.1.
    Tls,
    /// TLS with one that has expired.
    Expired,
    /// TLS with one for another host.
    Elsewhere,
    /// TLS that wants a certificate of the client.
    Mutual,
    /// As `Mutual`, behind a [`Door`]; one test changes whom it trusts.
    Trusting,
    /// As `Tls`, behind a [`Door`]; one test changes its certificate.
    Certified,
    /// User and password (SCRAM-SHA-256), asked again every three seconds.
    Login,
    /// In the clear, and its broker names an address where nobody listens.
    Advertised,
    /// In the clear, and its broker names an address that does not exist.
    Nameless,
}

use Listener::{Advertised, Certified, Elsewhere, Expired, Login, Mutual, Nameless, Plain, Tls, Trusting};

/// In the order of their ports; the second port is the controller's.
const ALL: [Listener; 10] =
    [Plain, Tls, Expired, Elsewhere, Mutual, Trusting, Certified, Login, Advertised, Nameless];
/// Those behind a door, in the order of its port: the first after all others.
const BEHIND: [Listener; 2] = [Trusting, Certified];

impl Listener {
    fn protocol(self) -> &'static str {
        match self {
            Plain | Advertised | Nameless => "PLAINTEXT",
            Tls | Expired | Elsewhere | Mutual | Trusting | Certified => "SSL",
            Login => "SASL_PLAINTEXT",
        }
    }

    fn name(self) -> String {
        if self == Plain { "PLAINTEXT".to_owned() } else { format!("{self:?}").to_uppercase() }
    }
}

/// See the module.
pub(crate) struct Listeners {
    folder: PathBuf,
    port: u16,
}

static ONE: OnceLock<Option<Listeners>> = OnceLock::new();

impl Listeners {
    /// The one of all tests; `None`, said loudly, where no real Kafka is asked for or can be started.
    pub(crate) fn get() -> Option<&'static Self> {
        if kafka::named().is_none() {
            kafka::skip("needs Apache Kafka: TLS, SASL and rights");
            return None;
        }
        let one = ONE.get_or_init(Self::start).as_ref();
        if one.is_none() {
            kafka::skip("needs a broker of its own: Java and Maven");
        }
        one
    }

    fn start() -> Option<Self> {
        let name = format!("kafka-listeners-{}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).expect("the folder of temporary files can be written");
        let one = Self { folder, port: free_ports((ALL.len() + 1 + BEHIND.len()) as u16) };
        one.make_certificates()?;
        std::fs::write(one.file("extra.properties"), one.properties()).expect("it can be written");
        one.script(&["start"]).then_some(one)
    }

    /// The cluster, as a client sees it who comes to this listener.
    pub(crate) fn at(&self, listener: Listener) -> Kafka {
        Kafka::at(format!("127.0.0.1:{}", self.port_of(listener)))
    }

    /// Opens the door of a listener that is behind one.
    pub(crate) fn door(&self, listener: Listener) -> Door {
        let port = self.door_of(listener).expect("it is behind one");
        Door::open(port, self.port_of(listener))
    }

    fn door_of(&self, listener: Listener) -> Option<u16> {
        let index = BEHIND.iter().position(|one| *one == listener)?;
        Some(self.port + (ALL.len() + 1 + index) as u16)
    }

    /// Gives a listener another value of a property, for the connections to come.
    pub(crate) fn alter(&self, listener: Listener, property: &str, value: &str) {
        let what = format!("listener.name.{}.{property}={value}", listener.name().to_lowercase());
        let what = ["--alter", "--add-config", &what, "--entity-type", "brokers", "--entity-name", "1"];
        assert!(self.tool("kafka.admin.ConfigCommand", &what), "{property} of {listener:?}");
    }

    /// A certificate (`authority.pem`, `other.pem`) or a keystore (`client.p12`, `client-of-other.p12`, with [`PASSWORD`]).
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Gives a user this password.
    pub(crate) fn set_password(&self, user: &str, password: &str) {
        let credential = format!("SCRAM-SHA-256=[iterations=4096,password={password}]");
        let what = ["--alter", "--add-config", &credential, "--entity-type", "users", "--entity-name", user];
        assert!(self.tool("kafka.admin.ConfigCommand", &what), "a password for {user}");
    }

    /// Lets a user do something, such as `--operation Read --topic t`.
    pub(crate) fn allow(&self, user: &str, what: &[&str]) {
        let user = format!("User:{user}");
        let arguments = [&["--add", "--allow-principal", user.as_str()], what].concat();
        assert!(self.tool("org.apache.kafka.tools.AclCommand", &arguments), "{user} may {what:?}");
    }

    fn tool(&self, class: &str, arguments: &[&str]) -> bool {
        let servers = self.at(Plain).servers;
        self.script(&[&["tool", class, "--bootstrap-server", &servers], arguments].concat())
    }

    fn port_of(&self, listener: Listener) -> u16 {
        let index = ALL.iter().position(|one| *one == listener).expect("all are listed") as u16;
        self.port + index + u16::from(index > 0)
    }

    fn script(&self, arguments: &[&str]) -> bool {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
        // Into files, not pipes: the broker keeps what its script had open.
        let log = || std::fs::File::create(self.file("script.log")).expect("it can be written");
        let status = Command::new(script)
            .args(arguments)
            .env("KAFKA_DIR", &self.folder)
            .env("KAFKA_PORT", self.port.to_string())
            .env("KAFKA_EXTRA", self.file("extra.properties"))
            .env("KAFKA_OWNER", std::process::id().to_string())
            .env("KAFKA_HEAP", "320m")
            .stdout(log())
            .stderr(log())
            .status();
        status.is_ok_and(|status| status.success())
    }

    fn properties(&self) -> String {
        let list = |entry: &dyn Fn(Listener) -> String| ALL.map(entry).join(",");
        let listeners = list(&|one| format!("{}://127.0.0.1:{}", one.name(), self.port_of(one)));
        let advertised = list(&|one| match one {
            Advertised => format!("{}://127.0.0.1:1", one.name()),
            Nameless => format!("{}://kafka.invalid:9092", one.name()),
            _ => format!("{}://127.0.0.1:{}", one.name(), self.door_of(one).unwrap_or(self.port_of(one))),
        });
        let protocols = list(&|one| format!("{}:{}", one.name(), one.protocol()));
        let mut text = format!(
            "listeners={listeners},CONTROLLER://127.0.0.1:{}\nadvertised.listeners={advertised}\n\
             listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT\ninter.broker.listener.name=PLAINTEXT\n",
            self.port + 1
        );
        for (listener, store) in [
            (Tls, "good"),
            (Expired, "expired"),
            (Elsewhere, "elsewhere"),
            (Mutual, "good"),
            (Trusting, "good"),
            (Certified, "good"),
        ] {
            let prefix = format!("listener.name.{}.ssl", listener.name().to_lowercase());
            let path = self.file(&format!("{store}.p12"));
            let _ = writeln!(
                text,
                "{prefix}.keystore.location={}\n{prefix}.keystore.type=PKCS12",
                path.display()
            );
            let _ = writeln!(text, "{prefix}.keystore.password={PASSWORD}\n{prefix}.key.password={PASSWORD}");
        }
        let trust = self.file("trust.p12");
        let _ = writeln!(text, "listener.name.mutual.ssl.client.auth=required\nssl.truststore.type=PKCS12");
        let _ = writeln!(
            text,
            "listener.name.trusting.ssl.client.auth=required\nlistener.name.trusting.ssl.truststore.type=PKCS12\n\
             listener.name.trusting.ssl.truststore.location={}\nlistener.name.trusting.ssl.truststore.password={PASSWORD}",
            trust.display()
        );
        let _ =
            writeln!(text, "ssl.truststore.location={}\nssl.truststore.password={PASSWORD}", trust.display());
        text + "listener.name.login.sasl.enabled.mechanisms=SCRAM-SHA-256\n\
             listener.name.login.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             listener.name.login.scram-sha-256.connections.max.reauth.ms=3000\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             super.users=User:ANONYMOUS;User:CN=client\n"
    }

    /// Two authorities, and what the first has signed. By Java's own tool, which is there where Kafka runs.
    fn make_certificates(&self) -> Option<()> {
        for (authority, pem) in [("authority", "authority.pem"), ("other", "other.pem")] {
            let name = format!("CN={authority}");
            let store = format!("{authority}.p12");
            self.keytool(
                &store,
                &["-genkeypair", "-alias", authority, "-dname", &name, "-ext", "bc:c=ca:true"],
            )?;
            let pem = self.file(pem);
            self.keytool(&store, &["-exportcert", "-rfc", "-alias", authority, "-file", pem.to_str()?])?;
        }
        for (authority, store) in [("authority", "trust.p12"), ("other", "trust-of-other.p12")] {
            let pem = self.file(&format!("{authority}.pem"));
            self.keytool(store, &["-importcert", "-noprompt", "-alias", authority, "-file", pem.to_str()?])?;
        }
        self.sign("authority", "good", &["-ext", "san=ip:127.0.0.1"])?;
        self.sign("other", "good", &["-ext", "san=ip:127.0.0.1"])?;
        self.sign("authority", "elsewhere", &["-ext", "san=dns:kafka.example"])?;
        let expired = ["-ext", "san=ip:127.0.0.1", "-startdate", "-10d", "-validity", "5"];
        self.sign("authority", "expired", &expired)?;
        self.sign("authority", "client", &[])?;
        self.sign("other", "client", &[])
    }

    /// A keystore with a key and its certificate, signed by an authority. That of the other one is called after it.
    fn sign(&self, authority: &str, name: &str, options: &[&str]) -> Option<()> {
        let store = if authority == "authority" {
            format!("{name}.p12")
        } else {
            format!("{name}-of-{authority}.p12")
        };
        std::fs::copy(self.file(&format!("{authority}.p12")), self.file(&store)).ok()?;
        let subject = format!("CN={name}");
        let make = ["-genkeypair", "-alias", name, "-dname", &subject, "-signer", authority];
        self.keytool(&store, &[&make, options].concat())?;
        self.keytool(&store, &["-delete", "-alias", authority])
    }

    fn keytool(&self, store: &str, arguments: &[&str]) -> Option<()> {
        let mut command = Command::new("keytool");
        command.args(["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC"]).args(arguments);
        if arguments[0] == "-genkeypair" {
            command.args(["-keyalg", "EC", "-groupname", "secp256r1"]);
        }
        command.args(["-storetype", "PKCS12", "-storepass", PASSWORD, "-keystore"]).arg(self.file(store));
        command.output().is_ok_and(|done| done.status.success()).then_some(())
    }
}

/// The only way to a listener, so that a test can end all connections to it. New ones pass.
pub(crate) struct Door {
    /// How clients come through it.
    pub servers: String,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Door {
    fn open(port: u16, to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port was free");
        let streams = Arc::new(Mutex::new(Vec::new()));
        let passing = streams.clone();
        std::thread::spawn(move || {
            for outer in listener.incoming().flatten() {
                let Ok(inner) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                for (from, into) in [(&outer, &inner), (&inner, &outer)] {
                    let (Ok(mut from), Ok(mut into), Ok(kept)) =
                        (from.try_clone(), into.try_clone(), from.try_clone())
                    else {
                        continue;
                    };
                    passing.lock().expect("nobody panics").push(kept);
                    std::thread::spawn(move || {
                        // Either end of it ends both ways.
                        let _ = std::io::copy(&mut from, &mut into);
                        let _ = into.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        Self { servers: format!("127.0.0.1:{port}"), streams }
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        for stream in self.streams.lock().expect("nobody panics").drain(..) {
            // One that has ended by itself is no less cut.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Of every keystore.
pub(crate) const PASSWORD: &str = "changeit";

/// The first of this many ports in a row that are free, where outgoing connections do not look for theirs.
fn free_ports(count: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut chance = std::iter::repeat_with(|| fastrand::u16(16_000..32_000));
    chance.find(|first| (*first..first + count).all(free)).expect("it goes on for ever")
}

/// A path as a variable has it.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}
