//! Lists against plain vectors of numbers.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const LISTS: usize = 3;
const GROUPS: u32 = 4;

/// The same in the plainest words.
#[derive(Default)]
struct Model {
    lists: [Vec<(Id, u32)>; LISTS],
    /// In no list.
    loose: Vec<(Id, u32)>,
    removed: Vec<Id>,
}

#[derive(Clone, Debug)]
enum Step {
    Insert,
    PushBack(usize, Index),
    PushFront(usize, Index),
    Pop(usize),
    Unlink(usize, Index),
    Remove(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let list = 0..LISTS;
    prop_oneof![
        3 => Just(Step::Insert),
        3 => (list.clone(), any::<Index>()).prop_map(|(list, which)| Step::PushBack(list, which)),
        1 => (list.clone(), any::<Index>()).prop_map(|(list, which)| Step::PushFront(list, which)),
        1 => list.clone().prop_map(Step::Pop),
        2 => (list, any::<Index>()).prop_map(|(list, which)| Step::Unlink(list, which)),
        1 => any::<Index>().prop_map(Step::Remove),
    ]
}

fn pick(from: &mut Vec<(Id, u32)>, which: &Index) -> Option<(Id, u32)> {
    (!from.is_empty()).then(|| from.remove(which.index(from.len())))
}

fn run(slab: &mut Slab<u32>, lists: &mut [List; LISTS], model: &mut Model, step: &Step, number: u32) {
    match step {
        Step::Insert => model.loose.push((slab.insert(number % GROUPS, number), number)),
        Step::PushBack(list, which) => {
            if let Some(value) = pick(&mut model.loose, which) {
                slab.push_back(&mut lists[*list], value.0);
                model.lists[*list].push(value);
            }
        }
        Step::PushFront(list, which) => {
            if let Some(value) = pick(&mut model.loose, which) {
                slab.push_front(&mut lists[*list], value.0);
                model.lists[*list].insert(0, value);
            }
        }
        Step::Pop(list) => {
            let values = &mut model.lists[*list];
            let first = (!values.is_empty()).then(|| values.remove(0));
            assert_eq!(slab.pop_front(&mut lists[*list]), first.map(|(id, _)| id));
            model.loose.extend(first);
        }
        Step::Unlink(list, which) => {
            if let Some(value) = pick(&mut model.lists[*list], which) {
                slab.unlink(&mut lists[*list], value.0);
                model.loose.push(value);
            }
        }
        Step::Remove(which) => {
            if let Some((id, number)) = pick(&mut model.loose, which) {
                assert_eq!(slab.remove(id), Some(number));
                model.removed.push(id);
            }
        }
    }
}

/// The values of a list, along its links in both directions.
fn walk(slab: &Slab<u32>, list: &List) -> (Vec<u32>, Vec<u32>) {
    let along = |mut at: u32, step: fn(&Node<u32>) -> u32| {
        let mut values = Vec::new();
        while at != NONE {
            let node = &slab.nodes[at as usize];
            values.extend(node.value);
            at = step(node);
        }
        values
    };
    let forth = along(list.head, |node| node.next);
    let mut back = along(list.tail, |node| node.prev);
    back.reverse();
    (forth, back)
}

proptest! {
    #[test]
    fn lists_over_one_slab_are_as_vectors(steps in prop::collection::vec(step(), 1..150)) {
        let (mut slab, mut lists, mut model) = (Slab::default(), [List::default(); LISTS], Model::default());
        for (step, number) in steps.iter().zip(0u32..) {
            run(&mut slab, &mut lists, &mut model, step, number);
            for (list, values) in lists.iter().zip(&model.lists) {
                let values: Vec<u32> = values.iter().map(|(_, number)| *number).collect();
                prop_assert_eq!(walk(&slab, list), (values.clone(), values.clone()));
                prop_assert_eq!((list.len(), list.is_empty()), (values.len(), values.is_empty()));
            }
            let alive = model.lists.iter().flatten().chain(&model.loose);
            prop_assert_eq!(slab.len(), alive.clone().count());
            for (id, number) in alive.clone() {
                prop_assert_eq!(slab.get(*id), Some(number));
            }
            for group in 0..=GROUPS {
                let mut own: Vec<(Id, u32)> = alive.clone().copied().filter(|(_, number)| number % GROUPS == group).collect();
                own.sort_unstable_by_key(|(_, number)| std::cmp::Reverse(*number));
                let found: Vec<(Id, u32)> = slab.group(group).map(|(id, number)| (id, *number)).collect();
                prop_assert_eq!(found, own, "the newest first, and nothing of others");
            }
            for id in &model.removed {
                prop_assert_eq!(slab.get(*id), None, "an id names nothing once its value is gone");
                prop_assert_eq!(slab.remove(*id), None);
            }
        }
        let most = steps.iter().filter(|step| matches!(step, Step::Insert)).count();
        prop_assert!(slab.nodes.len() <= most);
    }
}

#[test]
fn a_place_is_used_again_under_another_id() {
    let mut slab = Slab::default();
    let first = slab.insert(0, 1);
    assert_eq!(slab.remove(first), Some(1));
    let second = slab.insert(0, 2);
    assert_eq!((slab.nodes.len(), slab.get(first), slab.get(second)), (1, None, Some(&2)));
}
