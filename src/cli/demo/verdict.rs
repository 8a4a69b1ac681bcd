//! What is said at the end: what the judge found, in figures, and what to try next.

use std::fmt;
use std::time::Duration;

use super::chaos::Counts;
use super::screen::{grouped, program};
use super::topics::{GROUP, INPUT};
use crate::app::Exit;
use crate::cli::verify::{Counts as Judged, Progress, Report};

/// Everything that is known at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    /// What the judge counted.
    pub judged: Judged,
    /// What else he found to be wrong.
    pub findings: Vec<String>,
    /// Records that stand in the input again: no fault of the processor's.
    pub twice_in_input: u64,
    /// Records that the broker acknowledged in the input topic.
    pub acknowledged: u64,
    /// Records that it did not take.
    pub refused: u64,
    /// The user did not wait until everything was read back: what is missing is not lost.
    pub cut_short: bool,
    /// Time of the flow: from the second record to the last that was read back.
    pub elapsed: Duration,
    /// Of the whole, milliseconds.
    pub p99: Option<u64>,
    /// Faults, pauses and kills, and the seed, if there was chaos.
    pub chaos: Option<(u64, Counts, u64)>,
    /// The largest this process ever was, in bytes, where the system says so.
    pub peak_memory: Option<u64>,
    /// Records of the input behind the group's committed offsets, where that is known.
    pub uncommitted: Option<i64>,
    /// What went wrong around the records: each is a reason why the figures may not be the whole truth.
    pub troubles: Vec<String>,
}

impl Verdict {
    /// Takes over what the judge found; `to_the_end` if he has read all, and knows what is committed.
    pub(super) fn take(&mut self, report: &Report, to_the_end: bool) {
        self.twice_in_input = report.aside.twice_in_input;
        if to_the_end {
            let left = |one: &Progress| one.end - one.committed.unwrap_or(one.first);
            self.uncommitted = Some(report.partitions.iter().map(left).sum());
        }
        // These four are counted anyway; and before the end of the topics nothing can be said of what has no result.
        let counted = ["lost", "unfinished", "repeated", "out of order"];
        for (name, finding) in report.findings() {
            if !finding.ok && !counted.contains(&name) && to_the_end {
                let example =
                    finding.examples.first().map_or(String::new(), |one| format!(", such as {one}"));
                self.findings.push(format!("{} {name}{example}", grouped(finding.count)));
            }
        }
    }

    fn lost(&self) -> u64 {
        // What was acknowledged and is not in the topic is lost too, by whoever lost it.
        self.judged.unfinished() + self.acknowledged.saturating_sub(self.judged.input)
    }

    fn is_good(&self) -> bool {
        let Judged { repeated, out_of_order, .. } = self.judged;
        let faults = self.lost() + repeated + out_of_order + self.twice_in_input;
        faults == 0 && self.findings.is_empty() && self.troubles.is_empty() && !self.cut_short
    }

    /// 0 if all is as it should be.
    pub(super) fn exit(&self) -> Exit {
        if self.is_good() { Exit::Clean } else { Exit::Failure }
    }

    fn committed(&self) -> String {
        match &self.uncommitted {
            None => "not looked at".to_owned(),
            Some(0) => format!("group {GROUP} is at the end of {INPUT}"),
            Some(left) => {
                format!("group {GROUP} is {left} records before the end of {INPUT}: they would be read again")
            }
        }
    }

    fn write_oddities(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judged { repeated, input, .. } = self.judged;
        let oddities = [
            (self.refused, "records were generated that the broker did not take"),
            (self.acknowledged.saturating_sub(input), "acknowledged records are not in the input topic"),
            (
                self.twice_in_input,
                "records stand twice in the input topic: by the generator or the broker, not by the processor",
            ),
            (
                input.saturating_sub(self.acknowledged + self.refused + self.twice_in_input),
                "records of the input topic were written by others; they are judged too",
            ),
            (
                repeated,
                "results are there more than once: an instance that is killed may repeat what it had under way",
            ),
        ];
        for (count, text) in oddities.into_iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "  note           {} {text}", grouped(count))?;
        }
        for finding in &self.findings {
            writeln!(f, "  wrong          {finding}")?;
        }
        for trouble in &self.troubles {
            writeln!(f, "  trouble        {trouble}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judged { input, output, dead_lettered, repeated, out_of_order } = self.judged;
        let sign = if input == output + dead_lettered { "=" } else { "is not" };
        let rate = self.judged.finished() as f64 / self.elapsed.as_secs_f64().max(0.001);
        let p99 =
            self.p99.map_or("-".to_owned(), |ms| format!("{} ms from generated to read back", grouped(ms)));
        writeln!(f, "the verdict, read back from the topics:")?;
        writeln!(
            f,
            "  in {sign} out + dead-lettered: {} {sign} {} + {}",
            grouped(input),
            grouped(output),
            grouped(dead_lettered)
        )?;
        writeln!(
            f,
            "  {} {}, repeated {}, out of order {}",
            if self.cut_short { "not read back" } else { "lost" },
            grouped(self.lost()),
            grouped(repeated),
            grouped(out_of_order)
        )?;
        self.write_oddities(f)?;
        if let Some((faults, Counts { pauses, kills }, seed)) = self.chaos {
            let kills = if kills > 0 { format!(", and {kills} instances killed") } else { String::new() };
            writeln!(
                f,
                "  chaos          {} faults and {pauses} pauses{kills}, by chance from --seed {seed}",
                grouped(faults)
            )?;
        }
        writeln!(
            f,
            "  throughput     {} records/s for {:.1} s",
            grouped(rate as u64),
            self.elapsed.as_secs_f64()
        )?;
        writeln!(f, "  p99            {p99}")?;
        if let Some(bytes) = self.peak_memory {
            writeln!(f, "  peak memory    {} MiB, the broker and its topics included", bytes >> 20)?;
        }
        write!(f, "  committed      {}", self.committed())
    }
}

/// What is said at the very end.
pub(super) fn next() -> String {
    let program = program();
    format!(
        "try next:\n  \
         {program} demo --chaos                       with a broker that misbehaves\n  \
         {program} demo --exactly-once --chaos        and instances that are killed, and nothing repeated\n  \
         {program} demo --rate 0 --duration 30s       as fast as this machine goes\n  \
         {program} broker                             the broker alone; then the README's \"Run it against a Kafka\"\n  \
         {program} run --help                         all settings"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Verdict {
        let judged = Judged { input: 1000, output: 980, dead_lettered: 20, ..Judged::default() };
        let uncommitted = Some(0);
        Verdict {
            judged,
            acknowledged: 1000,
            elapsed: Duration::from_secs(2),
            uncommitted,
            ..Verdict::default()
        }
    }

    #[test]
    fn a_good_end_is_said_in_figures_and_is_exit_code_0() {
        let text = good().to_string();
        assert!(text.contains("in = out + dead-lettered: 1,000 = 980 + 20"), "{text}");
        assert!(text.contains("lost 0, repeated 0, out of order 0"), "{text}");
        assert!(text.contains("500 records/s") && text.contains("at the end of demo.orders"), "{text}");
        assert!(!text.contains("note") && !text.contains("trouble"), "{text}");
        assert_eq!(good().exit(), Exit::Clean);
    }

    #[test]
    fn each_fault_is_exit_code_1_and_is_said() {
        type Fault = fn(&mut Verdict);
        let faults: [(Fault, &str); 8] = [
            (|v| v.judged.output = 977, "lost 3"),
            (|v| v.acknowledged = 1002, "2 acknowledged records are not in the input"),
            (|v| v.judged.repeated = 4, "repeated 4"),
            (|v| v.judged.out_of_order = 5, "out of order 5"),
            (|v| v.twice_in_input = 6, "6 records stand twice in the input"),
            (|v| v.judged.output = 970, "in is not out + dead-lettered"),
            (|v| v.findings.push("1 phantom".to_owned()), "wrong          1 phantom"),
            (|v| v.troubles.push("it burns".to_owned()), "it burns"),
        ];
        for (fault, said) in faults {
            let mut verdict = good();
            fault(&mut verdict);
            assert!(verdict.to_string().contains(said), "{said}: {verdict}");
            assert_eq!(verdict.exit(), Exit::Failure, "{said}");
        }
    }

    #[test]
    fn what_nobody_waited_for_is_not_called_lost_and_is_no_success_either() {
        let mut verdict = Verdict { cut_short: true, ..good() };
        assert_eq!(verdict.exit(), Exit::Failure);
        verdict.judged.output = 970;
        assert!(verdict.to_string().contains("not read back 10, repeated 0"), "{verdict}");
    }

    #[test]
    fn what_is_not_committed_is_said() {
        let verdict = Verdict { uncommitted: Some(17), ..good() };
        assert!(verdict.to_string().contains("17 records before the end"), "{verdict}");
    }
}
