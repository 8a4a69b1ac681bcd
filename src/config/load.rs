//! From environment and flags to a configuration, or to everything that is wrong with them.

use std::ffi::OsString;

use super::finding::{Faults, Finding, Report};
use super::settings::Settings;
use super::{Config, Http, given, validate};

/// A configuration, what is doubtful about it, and where its values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Valid in itself.
    pub config: Config,
    /// What is probably not meant.
    pub warnings: Vec<Finding>,
    /// The effective values with their source, secrets masked.
    pub settings: Settings,
}

/// Reads settings from `environment` and from `flags`, which are named as the variables are (`WORKER_POOL`) and win.
///
/// # Errors
/// All that is wrong, at once.
pub fn load(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    flags: Vec<(String, OsString)>,
) -> Result<Loaded, Faults> {
    let mut report = Report::default();
    let given = given::collect(environment, flags, &mut report);
    let passed = validate::check(&given, &mut report);
    if passed.strict {
        report.make_strict();
    }
    let settings = Settings::new(&given, &passed.effective);
    let Report { faults, warnings } = report;
    if faults.is_empty() {
        Ok(Loaded { config: passed.config, warnings, settings })
    } else {
        Err(Faults { faults, warnings, settings })
    }
}

/// Where a program with these settings listens, whatever else is wrong or missing among them.
///
/// # Errors
/// When the address itself is wrong.
pub fn http(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    flags: Vec<(String, OsString)>,
) -> Result<Http, Faults> {
    let given = given::collect(environment, flags, &mut Report::default());
    let mut report = Report::default();
    let http = validate::http(&given, &mut report);
    let Report { faults, warnings } = report;
    if faults.is_empty() { Ok(http) } else { Err(Faults { faults, warnings, settings: Settings::default() }) }
}
