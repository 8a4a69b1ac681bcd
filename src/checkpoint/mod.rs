//! What may be stored: who is assigned what, what was delivered, what of it is finished. The [`Ledger`] is the one place
//! that decides which offset may be committed and how much may be in flight. Pure: no thread, no Kafka.

pub mod ledger;
pub mod map;
pub mod note;
pub mod tracker;

pub use ledger::{Beginning, Budget, End, Ledger, NoTicket, Slot, Ticket};
pub use map::OffsetMap;
pub use note::Note;
