//! The header that every frame of the talker carries, at the start of its UDP or raw payload.
//!
//! All fields are big-endian. The short form fits the 18 bytes of UDP payload that a 60-byte IPv4
//! frame leaves; the long form is used wherever there is room.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 3 | magic, `TSP` |
//! | 3 | 1 | form: 0 short, 1 long |
//! | 4 | 2 | stream id |
//! | 6 | 4 | sequence number, from 0 |
//! | 10 | 8 | launch time, TAI ns; 0: none |
//! | 18 | 8 | long form only: time at which the talker handed the frame to its socket, TAI ns |
//! | 26 | 2 | long form only: payload size in bytes, counted from the magic |

/// Size of the short form in bytes: the smallest payload that can carry a header.
pub const SHORT_BYTES: usize = 18;

/// Size of the long form in bytes.
pub const LONG_BYTES: usize = 28;

const MAGIC: [u8; 3] = *b"TSP";
const FORM_SHORT: u8 = 0;
const FORM_LONG: u8 = 1;

/// What a frame says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The stream that the frame belongs to.
    pub stream_id: u16,
    /// Position in the stream, counted from 0.
    pub sequence: u32,
    /// When the frame is to leave, in TAI ns. `None`: it was sent without a launch time.
    pub launch_time_ns: Option<u64>,
    /// When the talker handed the frame to its socket, in TAI ns, and how large it made the payload.
    /// `None` in frames too small for the long form.
    pub sent: Option<Sent>,
}

/// The part of a [`Header`] that only the long form carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When the talker handed the frame to its socket, in TAI ns.
    pub time_ns: u64,
    /// Size of the payload in bytes, from the magic on, without padding added on the way.
    pub payload_bytes: u16,
}

impl Header {
    /// Writes the header to the start of `payload`: the long form if `sent` is set and there is room,
    /// else the short one.
    ///
    /// # Panics
    ///
    /// If `payload` is shorter than [`SHORT_BYTES`].
    pub fn encode(&self, payload: &mut [u8]) {
        payload[0..3].copy_from_slice(&MAGIC);
        payload[3] = FORM_SHORT;
        payload[4..6].copy_from_slice(&self.stream_id.to_be_bytes());
        payload[6..10].copy_from_slice(&self.sequence.to_be_bytes());
        payload[10..18].copy_from_slice(&self.launch_time_ns.unwrap_or(0).to_be_bytes());
        if let Some(sent) = self.sent
            && payload.len() >= LONG_BYTES
        {
            payload[3] = FORM_LONG;
            payload[18..26].copy_from_slice(&sent.time_ns.to_be_bytes());
            payload[26..28].copy_from_slice(&sent.payload_bytes.to_be_bytes());
        }
    }

    /// Reads a header from the start of `payload`. `None` if it is not one of ours.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (magic, rest) = payload.split_first_chunk::<3>()?;
        if *magic != MAGIC {
            return None;
        }
        let (&[form], rest) = rest.split_first_chunk()?;
        let (stream_id, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (launch_time, rest) = rest.split_first_chunk()?;
        let sent = match form {
            FORM_SHORT => None,
            FORM_LONG => {
                let (time, rest) = rest.split_first_chunk()?;
                let (payload_bytes, _) = rest.split_first_chunk()?;
                Some(Sent {
                    time_ns: u64::from_be_bytes(*time),
                    payload_bytes: u16::from_be_bytes(*payload_bytes),
                })
            }
            _ => return None,
        };
        let launch_time_ns = u64::from_be_bytes(*launch_time);
        Some(Self {
            stream_id: u16::from_be_bytes(*stream_id),
            sequence: u32::from_be_bytes(*sequence),
            launch_time_ns: (launch_time_ns != 0).then_some(launch_time_ns),
            sent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        stream_id: 0x1234,
        sequence: 0xdead_beef,
        launch_time_ns: Some(1_800_000_000_123_456_789),
        sent: Some(Sent {
            time_ns: 1_800_000_000_123_000_000,
            payload_bytes: 40,
        }),
    };

    #[test]
    fn the_long_form_round_trips() {
        let mut payload = [0xaa; 40];
        HEADER.encode(&mut payload);
        assert_eq!(Header::decode(&payload), Some(HEADER));
        assert_eq!(
            payload[LONG_BYTES..],
            [0xaa; 12],
            "bytes after the header are left alone"
        );
    }

    #[test]
    fn a_payload_of_18_bytes_carries_the_short_form() {
        let mut payload = [0; SHORT_BYTES];
        HEADER.encode(&mut payload);
        assert_eq!(
            Header::decode(&payload),
            Some(Header {
                sent: None,
                ..HEADER
            })
        );
    }

    #[test]
    fn no_launch_time_stays_none() {
        let mut payload = [0; LONG_BYTES];
        let header = Header {
            launch_time_ns: None,
            ..HEADER
        };
        header.encode(&mut payload);
        assert_eq!(Header::decode(&payload), Some(header));
    }

    #[test]
    fn what_is_cut_short_or_foreign_is_refused() {
        let mut payload = [0; LONG_BYTES];
        HEADER.encode(&mut payload);
        for length in 0..LONG_BYTES {
            assert_eq!(Header::decode(&payload[..length]), None, "{length} bytes");
        }
        for byte in 0..4 {
            let mut foreign = payload;
            foreign[byte] ^= 0x80;
            assert_eq!(Header::decode(&foreign), None, "byte {byte} changed");
        }
    }
}
