//! What became of each record of the input, once everything was shown; and what is to be said of it.

use super::super::inputs::Ref;
use super::super::report::{Aside, Example, Finding, Progress, Report, VERSION};
use super::super::rules::Limit;
use super::Judge;

impl Judge {
    /// A record whose stamp another one has may have got its result under that one's name.
    fn share_with_twins(&mut self) {
        let twins = std::mem::take(&mut self.inputs.twins);
        self.aside.twice_in_input = twins.len() as u64;
        for (twin, first) in twins {
            if self.inputs.entry(twin).results == 0 && self.inputs.entry(first).results > 1 {
                self.inputs.entry_mut(first).results -= 1;
                self.inputs.entry_mut(twin).results = 1;
                self.faults.repeated.count -= 1;
            }
        }
    }

    /// Results whose record did not come belong to none.
    fn give_up_early(&mut self) {
        let (rules, phantom) = (&self.rules, &mut self.faults.phantom);
        let why = "there is no such record in the input";
        for (place, ..) in std::mem::take(&mut self.early).into_values().flatten() {
            phantom.add(rules.examples, || rules.example(place, None, Some(why.to_owned())));
        }
    }

    /// What was found.
    pub(crate) fn report(mut self) -> Report {
        self.give_up_early();
        self.share_with_twins();
        let mut report = Report {
            version: VERSION,
            good: false,
            records: self.records,
            lost: Finding::default(),
            unfinished: Finding::default(),
            torn: Finding::default(),
            watermark: Finding::default(),
            repeated: std::mem::take(&mut self.faults.repeated),
            out_of_order: std::mem::take(&mut self.faults.out_of_order),
            split: std::mem::take(&mut self.faults.split),
            phantom: std::mem::take(&mut self.faults.phantom),
            unjudged: std::mem::take(&mut self.faults.unjudged),
            corrupt: std::mem::take(&mut self.faults.corrupt),
            matched: self.matched,
            aside: self.aside,
            uncommitted: None,
            partitions: Vec::new(),
            notes: Vec::new(),
        };
        for place in 0..self.inputs.partitions.len() {
            self.look_at(place, &mut report);
        }
        report.lost.count += self.inputs.lost;
        if report.unjudged.count > 0 {
            Self::put_absence_aside(&mut report);
        }
        self.settle(&mut report);
        report
    }

    /// A result that does not say whose it is may be that of any record that seems to have none: nothing follows from that.
    fn put_absence_aside(report: &mut Report) {
        let without = report.lost.count + report.unfinished.count;
        (report.lost, report.unfinished) = Default::default();
        let unjudged = report.unjudged.count;
        report.notes.push(format!(
            "unjudged: {unjudged} results do not say which record they are of, so nothing can be said of the {without} records that no \
             other result is of: whether they are lost, and whether the committed offsets are beyond them. Run the instances with \
             PROCESSOR_SOURCE_HEADER=true and judge what they write from then on, or judge records of processor generate"
        ));
    }

    /// What became of the records of a partition.
    fn look_at(&self, place: usize, report: &mut Report) {
        let partition = &self.inputs.partitions[place];
        let committed = partition.committed;
        let mut progress = Progress {
            topic: partition.topic.to_string(),
            partition: partition.number,
            first: partition.first,
            end: partition.end,
            records: partition.forgotten + partition.entries.len() as u64,
            committed,
            first_unfinished: None,
            last_finished: (partition.forgotten > 0).then_some(partition.forgotten_to - 1),
            uncommitted: u64::try_from(partition.forgotten_to - committed.unwrap_or(0).max(partition.first))
                .unwrap_or(0),
            claimed: 0,
        };
        let mut false_claim = None;
        for (index, entry) in partition.numbered() {
            let one = Ref { partition: place as u32, index };
            progress.claimed += u64::from(entry.claimed);
            if self.is_finished(one, entry) {
                progress.last_finished = Some(entry.offset);
                progress.uncommitted +=
                    u64::from(committed.is_none_or(|committed| committed <= entry.offset));
                continue;
            }
            progress.first_unfinished.get_or_insert(entry.offset);
            if entry.claimed {
                false_claim.get_or_insert(entry.offset);
            }
            let example = || Example { of: Some(self.inputs.name(one)), ..Example::default() };
            let passed =
                self.rules.group.is_none() || committed.is_some_and(|committed| committed > entry.offset);
            if self.several.contains_key(&one) {
                report.torn.add(self.rules.examples, || self.torn(one));
            } else if passed {
                report.lost.add(self.rules.examples, example);
            } else {
                report.unfinished.add(self.rules.examples, example);
            }
        }
        self.hold_watermark(&progress, false_claim, report);
        report.partitions.push(progress);
    }

    fn torn(&self, one: Ref) -> Example {
        let why = self.several.get(&one).map(|several| {
            let missing =
                (1..).zip(&several.seen).filter(|(_, seen)| !**seen).map(|(index, _): (u32, _)| index);
            let missing: Vec<_> = missing.take(5).map(|index| index.to_string()).collect();
            format!("of {} results these are missing: {}", several.count, missing.join(" "))
        });
        Example { at: None, of: Some(self.inputs.name(one)), why }
    }

    /// Where records may be filtered, or their results may be among those that do not say whose they are, one without a result says
    /// nothing about the watermark before it.
    fn hold_watermark(&self, progress: &Progress, false_claim: Option<i64>, report: &mut Report) {
        let Some(committed) = progress.committed else { return };
        let strict = self.rules.filtered == Limit::UpTo(0) && report.unjudged.count == 0;
        let why = match (progress.first_unfinished, false_claim) {
            _ if committed > progress.end => {
                format!("committed {committed}, and the log ends at {}", progress.end)
            }
            (Some(first), _) if strict && committed > first => {
                format!("committed {committed}, and offset {first} has no result")
            }
            (_, Some(claim)) if strict => {
                format!("its metadata says that offset {claim} is finished, and it has no result")
            }
            _ => return,
        };
        let of = Some(format!("{}/{}", progress.topic, progress.partition));
        report.watermark.add(self.rules.examples, || Example { at: None, of, why: Some(why) });
    }

    fn settle(&self, report: &mut Report) {
        let rules = &self.rules;
        report.lost.settle(rules.filtered);
        report.unfinished.settle(rules.unfinished);
        report.repeated.settle(rules.repeated);
        report.split.settle(rules.split);
        for finding in [
            &mut report.out_of_order,
            &mut report.torn,
            &mut report.phantom,
            &mut report.unjudged,
            &mut report.corrupt,
            &mut report.watermark,
        ] {
            finding.settle(Limit::UpTo(0));
        }
        report.uncommitted =
            rules.group.as_ref().map(|_| report.partitions.iter().map(|one| one.uncommitted).sum());
        report.notes.extend(self.notes());
        report.good = report.findings().iter().all(|(_, finding)| finding.ok);
    }

    fn notes(&self) -> Vec<String> {
        let Aside { removed, foreign, twice_in_input } = self.aside;
        let mut notes = Vec::new();
        if self.rules.filtered != Limit::UpTo(0) {
            let limit = self.rules.filtered;
            notes.push(format!("records without a result count as filtered (allowed: {limit}): lost ones among them cannot be told apart"));
        }
        let counts = [
            (removed, "results are of records that the input no longer has; they are not judged"),
            (foreign, "results are of other input topics or groups; they are not judged"),
            (
                twice_in_input,
                "records stand twice in the input, by their stamp: whoever wrote them repeated them",
            ),
        ];
        notes.extend(
            counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, text)| format!("{count} {text}")),
        );
        notes
    }
}
