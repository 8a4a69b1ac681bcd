//! What came in order goes out in order.

use std::collections::{HashMap, HashSet};

use super::super::evidence::{Evidence, Span};
use super::super::record::{Seen, Sent};
use super::Guarantee;

/// Records of one key and one input partition keep their order.
pub(crate) struct PerKeyOrder;

impl Guarantee for PerKeyOrder {
    fn name(&self) -> &'static str {
        "order per key"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        out_of_order(evidence, |sent| sent.input.key.clone().map(|key| (sent.partition, key)))
    }
}

/// Records of one key stand in the one output partition that Kafka's own Java client would choose.
pub(crate) struct PlacedByKey;

impl Guarantee for PlacedByKey {
    fn name(&self) -> &'static str {
        "placed by key"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        evidence.output.iter().filter_map(|seen| misplaced(seen, evidence.output_partitions)).collect()
    }
}

/// Records of one input partition keep their order in each output partition.
pub(crate) struct PerPartitionOrder;

impl Guarantee for PerPartitionOrder {
    fn name(&self) -> &'static str {
        "order per partition"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        out_of_order(evidence, |sent| Some(sent.partition))
    }
}

/// No two transforms of one lane run at the same time.
pub(crate) struct OneAtATimePerLane;

impl Guarantee for OneAtATimePerLane {
    fn name(&self) -> &'static str {
        "one at a time per lane"
    }

    fn violations(&self, evidence: &Evidence) -> Vec<String> {
        let mut spans: Vec<&Span> = evidence.spans.iter().collect();
        spans.sort_unstable_by_key(|span| (&span.lane, span.begin));
        let overlap = |pair: &&[&Span]| pair[0].lane == pair[1].lane && pair[1].begin < pair[0].end;
        let text = |pair: &[&Span]| {
            format!("{} began before {} had ended in {}", pair[1].id, pair[0].id, pair[0].lane)
        };
        spans.windows(2).filter(overlap).map(text).collect()
    }
}

/// First occurrences only: a repeat may stand anywhere behind. The parts of a record have an order too.
fn out_of_order<L: Eq + std::hash::Hash>(
    evidence: &Evidence,
    lane: impl Fn(&Sent) -> Option<L>,
) -> Vec<String> {
    let sent = evidence.by_id();
    let mut output: Vec<&Seen> = evidence.output.iter().collect();
    output.sort_unstable_by_key(|seen| (seen.partition, seen.offset));
    let (mut met, mut last, mut violations) = (HashSet::new(), HashMap::new(), Vec::new());
    for seen in output {
        let Some(sent) = seen.id().and_then(|id| sent.get(id.as_str()).copied()) else { continue };
        let Some(lane) = lane(sent) else { continue };
        let place = (sent.offset, seen.part());
        if !met.insert((&sent.input.id, seen.part())) {
            continue;
        }
        let before = last.insert((seen.partition, lane), place).unwrap_or((-1, 0));
        if before > place {
            let (id, output) = (&sent.input.id, seen.partition);
            violations.push(format!("{id}: input {place:?} behind {before:?} in output {output}"));
        }
    }
    violations
}

fn misplaced(seen: &Seen, partitions: i32) -> Option<String> {
    let key = seen.key.as_deref()?;
    let right = java_partition(key, partitions);
    let name = String::from_utf8_lossy(key);
    (seen.partition != right)
        .then(|| format!("key {name:?} is in partition {}, not in {right}", seen.partition))
}

/// The partition that `org.apache.kafka.clients.producer` chooses for a key.
fn java_partition(key: &[u8], partitions: i32) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    i32::try_from(positive).expect("31 bits") % partitions
}

fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).expect("a key is smaller than 4 GiB");
    let mut h = 0x9747_b28c ^ length;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ (k ^ (k >> 24)).wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, &byte| (tail << 8) | u32::from(byte));
        h = (h ^ tail).wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::super::example::{good_run, has_teeth, split_run};
    use super::*;

    fn swap_first_two(run: &mut Evidence) {
        run.output[0].offset = 1;
        run.output[1].offset = 0;
    }

    #[test]
    fn a_swap_within_a_key_is_seen() {
        has_teeth(&PerKeyOrder, &good_run(), swap_first_two);
    }

    #[test]
    fn a_swap_within_a_partition_is_seen() {
        has_teeth(&PerPartitionOrder, &good_run(), |run| {
            run.sent[0].input.key = None;
            swap_first_two(run);
        });
    }

    #[test]
    fn a_swap_of_parts_is_seen() {
        has_teeth(&PerKeyOrder, &split_run(), swap_first_two);
    }

    #[test]
    fn a_key_in_another_partition_is_seen() {
        let mut run = good_run();
        run.output_partitions = 2;
        let right = java_partition(b"key", 2);
        run.output.iter_mut().for_each(|seen| seen.partition = right);
        has_teeth(&PlacedByKey, &run, |run| run.output[2].partition = 1 - right);
    }

    #[test]
    fn a_repeat_behind_its_place_breaks_no_order() {
        let mut run = good_run();
        run.output.push(Seen { offset: 3, ..run.output[0].clone() });
        assert_eq!(PerKeyOrder.violations(&run), [""; 0]);
    }

    #[test]
    fn two_at_a_time_in_one_lane_are_seen() {
        let span =
            |lane: &str, begin: u64, end| Span { lane: lane.to_owned(), id: begin.to_string(), begin, end };
        let mut run = good_run();
        run.spans = vec![span("a", 1, 2), span("b", 2, 5), span("a", 3, 4)];
        has_teeth(&OneAtATimePerLane, &run, |run| run.spans[0].end = 4);
    }

    #[test]
    fn partitions_are_those_of_the_java_client() {
        // The vectors of Kafka's own UtilsTest.
        let vectors: [(&[u8], i32); 5] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key).cast_signed(), hash, "{:?}", String::from_utf8_lossy(key));
        }
    }
}
