//! The authorities that this machine trusts. An OpenSSL that is built in looks where the one that built it would have them, which is
//! nowhere; so the places where systems have them are tried.

use std::path::Path;

/// The variables of OpenSSL's own programs that name trusted authorities; what they name goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineTrust {
    /// `SSL_CERT_FILE`
    pub file: Option<String>,
    /// `SSL_CERT_DIR`, folders separated by colons.
    pub folders: Option<String>,
}

impl MachineTrust {
    /// Takes note of a variable, if it is one of the two.
    pub fn note(&mut self, variable: &str, value: &str) {
        match variable {
            "SSL_CERT_FILE" => self.file = Some(value.to_owned()),
            "SSL_CERT_DIR" => self.folders = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// Where systems have them, as librdkafka and Go look for them.
const USUAL: &[&str] = &[
    // Debian, Ubuntu, Alpine, Arch
    "/etc/ssl/certs/ca-certificates.crt",
    // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    // SUSE
    "/etc/ssl/ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    // Alpine without the package, macOS, BSD
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
];

/// The file or folder of the authorities that this machine trusts: the first that is there and can be read.
pub(super) fn store(named: &MachineTrust) -> Option<String> {
    store_among(named, USUAL)
}

fn store_among(named: &MachineTrust, usual: &[&str]) -> Option<String> {
    let folders = named.folders.iter().flat_map(|folders| folders.split(':'));
    let all = named.file.iter().map(String::as_str).chain(folders).chain(usual.iter().copied());
    all.filter(|path| !path.is_empty()).find(|path| can_be_read(Path::new(path))).map(str::to_owned)
}

/// A file that is not empty, or a folder with something in it.
fn can_be_read(path: &Path) -> bool {
    match path.metadata() {
        Ok(meta) if meta.is_dir() => path.read_dir().is_ok_and(|mut entries| entries.next().is_some()),
        Ok(meta) => meta.is_file() && meta.len() > 0 && std::fs::File::open(path).is_ok(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of these names and contents, in a folder of the test's own.
    fn folder(test: &str, files: &[(&str, &str)]) -> String {
        let folder = std::env::temp_dir().join(format!("processor-trust-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        folder.to_str().unwrap().to_owned()
    }

    #[test]
    fn what_is_named_goes_before_what_is_usual_and_the_first_that_is_there_counts() {
        let folder = folder("order", &[("usual.pem", "x"), ("own.pem", "x"), ("empty.pem", "")]);
        let at = |name: &str| format!("{folder}/{name}");
        let usual = [at("missing.pem"), at("empty.pem"), at("usual.pem"), folder.clone()];
        let usual: Vec<&str> = usual.iter().map(String::as_str).collect();
        let found = |file: Option<String>, folders: Option<String>| {
            store_among(&MachineTrust { file, folders }, &usual)
        };
        assert_eq!(found(None, None), Some(at("usual.pem")));
        assert_eq!(found(Some(at("own.pem")), Some(folder.clone())), Some(at("own.pem")));
        assert_eq!(found(None, Some(format!("/nowhere:{folder}"))), Some(folder.clone()));
        // One that is not there is no reason to trust nobody.
        assert_eq!(found(Some(at("missing.pem")), None), Some(at("usual.pem")));
        assert_eq!(store_among(&MachineTrust::default(), &["/nowhere/at/all"]), None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
