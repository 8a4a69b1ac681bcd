//! SASL and TLS settings that only make sense together. Half of them is worse than none: the program would connect
//! without the protection that was asked for, or be turned away without a reason.

use super::clients::{Accepted, of_role};
use super::property::{Role, switch};
use super::{Properties, Refusal, trial};

/// Looks at what the user gave for the client of this role.
pub(super) fn look_at(role: Role, accepted: &[Accepted<'_>], refusals: &mut Vec<Refusal>) {
    let given: Vec<&Accepted<'_>> = of_role(role, accepted).collect();
    let look = Look { given };
    let rules = [
        look.sasl(),
        look.pair(),
        look.mechanism(),
        look.built(),
        look.tokens(),
        look.tls(),
        look.certificate(),
    ];
    refusals.extend(rules.into_iter().flatten());
}

/// Whether these speak TLS and look at certificates, and are not told whom to believe.
pub(super) fn lacks_authorities(properties: &Properties) -> bool {
    let says = |name: &str| properties.get(name).map(str::to_ascii_lowercase);
    let tls = matches!(says("security.protocol").as_deref(), Some("ssl" | "sasl_ssl"));
    let told = ["ssl.ca.location", "ssl.ca.pem", "ssl.ca.certificate.stores"]
        .iter()
        .any(|name| properties.get(name).is_some());
    tls && !told && says("enable.ssl.certificate.verification").as_deref() != Some("false")
}

struct Look<'a, 'b> {
    given: Vec<&'b Accepted<'a>>,
}

impl<'a, 'b> Look<'a, 'b> {
    /// The value that wins, by canonical name.
    fn get(&self, canonical: &str) -> Option<&'b Accepted<'a>> {
        self.given.iter().rev().find(|a| a.user.property.canonical == canonical).copied()
    }

    fn says(&self, canonical: &str) -> Option<String> {
        self.get(canonical).map(|a| a.user.text.to_ascii_lowercase())
    }

    /// Credentials, and a protocol that does not use them.
    fn sasl(&self) -> Option<Refusal> {
        let credential =
            ["sasl.username", "sasl.password", "sasl.mechanisms"].iter().find_map(|n| self.get(n))?;
        let fix = "Set KAFKA_SECURITY_PROTOCOL=SASL_SSL (SASL_PLAINTEXT only where the network is trusted).";
        match self.says("security.protocol").as_deref() {
            Some("sasl_ssl" | "sasl_plaintext") => None,
            Some(protocol) => Some(credential.user.refused(
                "PC010",
                format!("has no effect with security protocol {protocol}"),
                fix,
            )),
            None => Some(credential.user.refused("PC010", "set, but no security protocol", fix)),
        }
    }

    /// A user without a password, or a password without a user.
    fn pair(&self) -> Option<Refusal> {
        match (self.get("sasl.username"), self.get("sasl.password")) {
            (Some(user), None) => {
                let fix = "Set KAFKA_SASL_PASSWORD_FILE or KAFKA_SASL_PASSWORD.";
                Some(user.user.refused("PC010", "a SASL user without a password", fix))
            }
            (None, Some(password)) => Some(password.user.refused(
                "PC010",
                "a SASL password without a user",
                "Set KAFKA_SASL_USERNAME.",
            )),
            _ => None,
        }
    }

    /// A protocol or credentials that need a mechanism, or a mechanism that needs credentials.
    fn mechanism(&self) -> Option<Refusal> {
        let user = self.get("sasl.username");
        let Some(mechanism) = self.get("sasl.mechanisms") else {
            let fix = "Set KAFKA_SASL_MECHANISM, such as SCRAM-SHA-512 or PLAIN.";
            let sasl = |protocol: &String| protocol.starts_with("sasl");
            let protocol = self.says("security.protocol").filter(sasl).and(self.get("security.protocol"));
            return match (user, protocol) {
                (Some(user), _) => Some(user.user.refused("PC010", "a SASL user without a mechanism", fix)),
                (None, Some(protocol)) => {
                    Some(protocol.user.refused("PC010", "SASL without a mechanism", fix))
                }
                (None, None) => None,
            };
        };
        let name = mechanism.user.text.to_ascii_uppercase();
        let needs_user = name == "PLAIN" || name.starts_with("SCRAM");
        let has_none = user.is_none() && self.get("sasl.password").is_none();
        (needs_user && has_none).then(|| {
            let fix = "Set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD_FILE or KAFKA_SASL_PASSWORD.";
            mechanism.user.refused("PC010", format!("{name} needs a user and a password"), fix)
        })
    }

    /// A mechanism that this build does not have.
    fn built(&self) -> Option<Refusal> {
        let mechanism = self.get("sasl.mechanisms")?;
        let (feature, lack) = match mechanism.user.text.to_ascii_uppercase().as_str() {
            "GSSAPI" => ("sasl_gssapi", "has no Kerberos"),
            "OAUTHBEARER" if !self.makes_tokens() => ("oidc", "cannot get tokens (OIDC)"),
            _ => return None,
        };
        let fix = "Set PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, or use a client certificate (KAFKA_SECURITY_PROTOCOL=SSL); or \
                   build with --no-default-features --features dynamic-linking where librdkafka has it.";
        let rule = format!("not in this build: its librdkafka {lack}");
        (!trial::is_built(feature)).then(|| mechanism.user.refused("PC027", rule, fix))
    }

    /// Tokens, and no word of how to get them: librdkafka would wait for one for ever.
    fn tokens(&self) -> Option<Refusal> {
        let mechanism = self.get("sasl.mechanisms")?;
        let tokens = mechanism.user.text.eq_ignore_ascii_case("OAUTHBEARER");
        let fetched = self.says("sasl.oauthbearer.method").as_deref() == Some("oidc");
        let wrong = tokens && !fetched && !self.makes_tokens() && trial::is_built("oidc");
        let fix = "Set KAFKA_SASL_OAUTHBEARER_METHOD=oidc and what it needs.";
        wrong.then(|| mechanism.user.refused("PC010", "OAUTHBEARER without a way to get tokens", fix))
    }

    /// Unsigned tokens that librdkafka makes itself, for trials.
    fn makes_tokens(&self) -> bool {
        self.says("enable.sasl.oauthbearer.unsecure.jwt").is_some_and(|text| switch(&text) == Ok(true))
    }

    /// Certificates, and no word of TLS: the connection would be in the clear.
    fn tls(&self) -> Option<Refusal> {
        let names = ["ssl.ca.location", "ssl.ca.pem", "ssl.certificate.location", "ssl.certificate.pem"];
        let given = names.iter().chain(&["ssl.keystore.location"]).find_map(|name| self.get(name))?;
        match self.says("security.protocol").as_deref() {
            Some("ssl" | "sasl_ssl") => None,
            protocol => {
                let protocol = protocol.unwrap_or("plaintext, the default");
                let fix = "Set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL.";
                Some(given.user.refused(
                    "PC010",
                    format!("has no effect with security protocol {protocol}"),
                    fix,
                ))
            }
        }
    }

    /// A certificate without its key, or a key without its certificate.
    fn certificate(&self) -> Option<Refusal> {
        let certificate = self.get("ssl.certificate.location").or_else(|| self.get("ssl.certificate.pem"));
        let key = self.get("ssl.key.location").or_else(|| self.get("ssl.key.pem"));
        match (certificate, key) {
            (Some(certificate), None) => {
                let fix = "Set KAFKA_SSL_KEY_LOCATION.";
                Some(certificate.user.refused("PC010", "a certificate without its key", fix))
            }
            (None, Some(key)) => {
                let fix = "Set KAFKA_SSL_CERTIFICATE_LOCATION.";
                Some(key.user.refused("PC010", "a key without its certificate", fix))
            }
            _ => None,
        }
    }
}
