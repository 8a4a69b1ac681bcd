//! SASL and TLS settings that only make sense together. Half of them is worse than none: the program would connect
//! without the protection that was asked for, or be turned away without a reason.

use super::clients::{Accepted, Properties, of_role};
use super::finding::{Finding, Report};
use super::property::Role;

/// Looks at what the user gave for the client of this role.
pub(super) fn look_at(role: Role, accepted: &[Accepted<'_>], report: &mut Report) {
    let given: Vec<&Accepted<'_>> = of_role(role, accepted).collect();
    let look = Look { given };
    for finding in [look.sasl(), look.pair(), look.mechanism(), look.tls(), look.certificate()] {
        finding.into_iter().for_each(|finding| report.fault(finding));
    }
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
        self.given.iter().rev().find(|a| a.property.canonical == canonical).copied()
    }

    fn says(&self, canonical: &str) -> Option<String> {
        self.get(canonical).map(|a| a.value.text.to_ascii_lowercase())
    }

    /// Credentials, and a protocol that does not use them.
    fn sasl(&self) -> Option<Finding> {
        let credential =
            ["sasl.username", "sasl.password", "sasl.mechanisms"].iter().find_map(|n| self.get(n))?;
        let fix = "Set KAFKA_SECURITY_PROTOCOL=SASL_SSL (SASL_PLAINTEXT only where the network is trusted).";
        match self.says("security.protocol").as_deref() {
            Some("sasl_ssl" | "sasl_plaintext") => None,
            Some(protocol) => Some(credential.value.wrong(
                "PC010",
                format!("has no effect with security protocol {protocol}"),
                fix,
            )),
            None => Some(credential.value.wrong("PC010", "set, but no security protocol", fix)),
        }
    }

    /// A user without a password, or a password without a user.
    fn pair(&self) -> Option<Finding> {
        match (self.get("sasl.username"), self.get("sasl.password")) {
            (Some(user), None) => {
                let fix = "Set KAFKA_SASL_PASSWORD_FILE or KAFKA_SASL_PASSWORD.";
                Some(user.value.wrong("PC010", "a SASL user without a password", fix))
            }
            (None, Some(password)) => Some(password.value.wrong(
                "PC010",
                "a SASL password without a user",
                "Set KAFKA_SASL_USERNAME.",
            )),
            _ => None,
        }
    }

    /// A protocol or credentials that need a mechanism, or a mechanism that needs credentials.
    fn mechanism(&self) -> Option<Finding> {
        let user = self.get("sasl.username");
        let Some(mechanism) = self.get("sasl.mechanisms") else {
            let fix = "Set KAFKA_SASL_MECHANISM, such as SCRAM-SHA-512 or PLAIN.";
            return user.map(|user| user.value.wrong("PC010", "a SASL user without a mechanism", fix));
        };
        let name = mechanism.value.text.to_ascii_uppercase();
        let needs_user = name == "PLAIN" || name.starts_with("SCRAM");
        let has_none = user.is_none() && self.get("sasl.password").is_none();
        (needs_user && has_none).then(|| {
            let fix = "Set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD_FILE or KAFKA_SASL_PASSWORD.";
            mechanism.value.wrong("PC010", format!("{name} needs a user and a password"), fix)
        })
    }

    /// Certificates, and no word of TLS: the connection would be in the clear.
    fn tls(&self) -> Option<Finding> {
        let names = ["ssl.ca.location", "ssl.ca.pem", "ssl.certificate.location", "ssl.certificate.pem"];
        let given = names.iter().chain(&["ssl.keystore.location"]).find_map(|name| self.get(name))?;
        match self.says("security.protocol").as_deref() {
            Some("ssl" | "sasl_ssl") => None,
            protocol => {
                let protocol = protocol.unwrap_or("plaintext, the default");
                let fix = "Set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL.";
                Some(given.value.wrong(
                    "PC010",
                    format!("has no effect with security protocol {protocol}"),
                    fix,
                ))
            }
        }
    }

    /// A certificate without its key, or a key without its certificate.
    fn certificate(&self) -> Option<Finding> {
        let certificate = self.get("ssl.certificate.location").or_else(|| self.get("ssl.certificate.pem"));
        let key = self.get("ssl.key.location").or_else(|| self.get("ssl.key.pem"));
        match (certificate, key) {
            (Some(certificate), None) => {
                let fix = "Set KAFKA_SSL_KEY_LOCATION.";
                Some(certificate.value.wrong("PC010", "a certificate without its key", fix))
            }
            (None, Some(key)) => {
                let fix = "Set KAFKA_SSL_CERTIFICATE_LOCATION.";
                Some(key.value.wrong("PC010", "a key without its certificate", fix))
            }
            _ => None,
        }
    }
}
