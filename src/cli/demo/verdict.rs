//! The last words: what the judge found, in figures, and what to try next.

use std::fmt;
use std::time::Duration;

use super::chaos::Counts;
use super::judge::Tally;
use super::progress::grouped;
use super::topics::{GROUP, INPUT};
use crate::app::Exit;

/// Everything that is known at the end.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What the judge counted.
    pub tally: Tally,
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
    /// Records of the input behind the group's committed offsets; or why that is not known.
    pub uncommitted: Option<Result<i64, String>>,
    /// What went wrong around the records: each is a reason why the figures may not be the whole truth.
    pub troubles: Vec<String>,
}

impl Verdict {
    fn lost(&self) -> u64 {
        // What was acknowledged and is not in the topic is lost too, by whoever lost it.
        self.tally.without_result() + self.acknowledged.saturating_sub(self.tally.input)
    }

    fn is_good(&self) -> bool {
        let Tally { repeated, out_of_order, twice_in_input, .. } = self.tally;
        let faults = self.lost() + repeated + out_of_order + twice_in_input + self.tally.without_input();
        faults == 0 && self.troubles.is_empty() && !self.cut_short
    }

    /// 0 if all is as it should be.
    pub fn exit(&self) -> Exit {
        if self.is_good() { Exit::Clean } else { Exit::Failure }
    }

    fn committed(&self) -> String {
        match &self.uncommitted {
            None => "not looked at".to_owned(),
            Some(Ok(0)) => format!("group {GROUP} is at the end of {INPUT}"),
            Some(Ok(left)) => {
                format!("group {GROUP} is {left} records before the end of {INPUT}: they would be read again")
            }
            Some(Err(why)) => format!("cannot be asked for: {why}"),
        }
    }

    fn write_oddities(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { repeated, twice_in_input, strangers, .. } = self.tally;
        let oddities = [
            (self.refused, "records were generated that the broker did not take"),
            (
                self.acknowledged.saturating_sub(self.tally.input),
                "acknowledged records are not in the input topic",
            ),
            (
                twice_in_input,
                "records stand twice in the input topic: by the generator or the broker, not by the processor",
            ),
            (self.tally.without_input(), "results are there of records that are not in the input topic"),
            (strangers, "records in the topics were written by others; they are not judged"),
            (
                repeated,
                "results are there more than once: an instance that is killed may repeat what it had under way",
            ),
        ];
        for (count, text) in oddities.into_iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "  note           {} {text}", grouped(count))?;
        }
        for trouble in &self.troubles {
            writeln!(f, "  trouble        {trouble}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { input, output, dead_lettered, repeated, out_of_order, .. } = self.tally;
        let sign = if input == output + dead_lettered { "=" } else { "is not" };
        let rate = self.tally.settled as f64 / self.elapsed.as_secs_f64().max(0.001);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Verdict {
        let tally = Tally { input: 1000, output: 980, dead_lettered: 20, settled: 1000, ..Tally::default() };
        let uncommitted = Some(Ok(0));
        Verdict {
            tally,
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
        let faults: [(Fault, &str); 7] = [
            (|v| v.tally.settled = 997, "lost 3"),
            (|v| v.acknowledged = 1002, "2 acknowledged records are not in the input"),
            (|v| v.tally.repeated = 4, "repeated 4"),
            (|v| v.tally.out_of_order = 5, "out of order 5"),
            (|v| v.tally.twice_in_input = 6, "6 records stand twice in the input"),
            (|v| v.tally.output = 987, "in is not out + dead-lettered"),
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
        verdict.tally.settled = 990;
        assert!(verdict.to_string().contains("not read back 10, repeated 0"), "{verdict}");
    }

    #[test]
    fn what_is_not_committed_is_said() {
        let verdict = Verdict { uncommitted: Some(Ok(17)), ..good() };
        assert!(verdict.to_string().contains("17 records before the end"), "{verdict}");
    }
}
