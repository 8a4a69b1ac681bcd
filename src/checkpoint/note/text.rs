//! Bytes as printable ASCII without quotes and backslashes: four bytes are five characters (the alphabet of Z85). A commit's
//! metadata is text, and 85 characters say 6.4 bits each, where Base64 says 6.

const ALPHABET: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// How many characters so many bytes take.
pub(super) const fn length(bytes: usize) -> usize {
    bytes / 4 * 5 + if bytes.is_multiple_of(4) { 0 } else { bytes % 4 + 1 }
}

/// How many bytes so many characters can carry.
pub(super) const fn capacity(characters: usize) -> usize {
    characters / 5 * 4 + (characters % 5).saturating_sub(1)
}

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(length(bytes.len()));
    for group in bytes.chunks(4) {
        let mut padded = [0; 4];
        padded[..group.len()].copy_from_slice(group);
        let number = u32::from_be_bytes(padded);
        let digits = [85u32.pow(4), 85u32.pow(3), 85u32.pow(2), 85, 1].map(|unit| number / unit % 85);
        text.extend(digits.iter().take(group.len() + 1).map(|digit| char::from(ALPHABET[*digit as usize])));
    }
    assert!(text.len() == length(bytes.len()), "{} bytes are {} characters", bytes.len(), text.len());
    text
}

/// `None` if the text is nothing that [`encode`] makes.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(capacity(text.len()));
    for group in text.chunks(5) {
        if group.len() == 1 {
            return None;
        }
        let mut number: u64 = 0;
        for place in 0..5 {
            // A short group is filled up with the highest digit, so that its leading bytes come out as they were.
            let digit = match group.get(place) {
                Some(character) => ALPHABET.iter().position(|known| known == character)?,
                None => 84,
            };
            number = number * 85 + digit as u64;
        }
        bytes.extend(&u32::try_from(number).ok()?.to_be_bytes()[..group.len() - 1]);
    }
    assert!(bytes.len() == capacity(text.len()), "{} characters are {} bytes", text.len(), bytes.len());
    // A short group can be written in several ways; one of them is ours.
    (encode(&bytes).as_bytes() == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_comes_back_as_the_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), length(bytes.len()));
            prop_assert_eq!(capacity(text.len()), bytes.len());
            prop_assert_eq!(decode(text.as_bytes()), Some(bytes));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(bytes.len(), capacity(text.len()));
            }
        }
    }
}
