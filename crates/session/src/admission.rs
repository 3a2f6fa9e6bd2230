//! The part of the handshake that only ends with a key go through: both prove that they have it.

use std::io::ErrorKind;
use std::time::Instant;

use nvdsucx_wire as wire;
use nvdsucx_wire::message::Kind;
use wire::{Challenge, Proof, Refusal, Sealed};

use crate::Error;
use crate::door::Visitor;
use crate::handshake::STEP;
use crate::links::{LinkEvent, LinkId, Links, Stage};
use crate::proof;

impl Links {
    /// Listening: a hello came with a challenge. Where somebody guesses keys, the answer takes its time.
    pub(crate) fn prepare_challenge(&mut self, id: LinkId, hello: Vec<u8>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.transcript.hello = hello;
        let now = Instant::now();
        let due = match &link.door {
            Some(door) => self.strangers.challenge_due(door.address().ip(), now),
            None => now,
        };
        if due > now {
            link.stage = Stage::Held { until: due };
        } else {
            self.challenge(id);
        }
    }

    /// Listening: asks a client for its proof.
    pub(crate) fn challenge(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let door = link.door.as_mut().ok_or(ErrorKind::NotConnected.into());
        let asked = door.and_then(|door| {
            let challenge = proof::challenge()?;
            door.greet(Kind::Challenge(Challenge { challenge }))
        });
        match asked {
            Ok(challenge) => {
                link.transcript.challenge = challenge;
                link.stage = Stage::Proving { until: Instant::now() + STEP };
            }
            Err(error) => self.connection_lost(id, &error.to_string()),
        }
    }

    /// Connecting: the server asks for our proof.
    pub(crate) fn prove(&mut self, id: LinkId, challenge: Vec<u8>) {
        let Some(key) = &self.config.key else { return };
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(door) = &mut link.door else { return };
        link.transcript.challenge = challenge;
        match door.greet(Kind::Proof(Proof { proof: link.transcript.prove(key) })) {
            Ok(_) => link.stage = Stage::Proving { until: Instant::now() + STEP },
            Err(error) => self.attempt_failed(id, error.to_string()),
        }
    }

    /// Listening: a client gives its proof.
    pub(crate) fn check_proof(&mut self, id: LinkId, proof: &Proof) {
        let Some(key) = &self.config.key else { return };
        let Some(link) = self.links.get(&id) else { return };
        if link.transcript.is_proved(key, &proof.proof) {
            return self.decide(id);
        }
        if let Some(address) = link.door.as_ref().map(Visitor::address) {
            self.strangers.proved_wrong(address.ip(), Instant::now());
        }
        self.refuse(id, wire::keys_differ());
    }

    /// Listening: the answer to a client that has proved itself, with our proof.
    pub(crate) fn seal(&mut self, id: LinkId, answer: Kind) -> Kind {
        let (Some(key), Some(link)) = (&self.config.key, self.links.get(&id)) else { return answer };
        let welcome = matches!(answer, Kind::Welcome(_));
        let message = wire::encode_message(&answer.into());
        let proof = link.transcript.seal(key, &message);
        let tokens = link.transcript.tokens(key, &message);
        if welcome {
            self.use_tokens(id, tokens.listening, tokens.connecting);
        }
        Kind::Sealed(Sealed { message, proof })
    }

    /// Connecting: the server's answer. Nothing of it is looked at before it is proved.
    pub(crate) fn unseal(&mut self, id: LinkId, sealed: &Sealed) {
        let (Some(key), Some(link)) = (&self.config.key, self.links.get(&id)) else { return };
        let message = &sealed.message;
        if !link.transcript.is_sealed(key, message, &sealed.proof) {
            let cause =
                "it cannot prove that it has the key: it has another one, or is not who it seems to be";
            return self.unauthenticated(id, cause.to_owned());
        }
        let tokens = link.transcript.tokens(key, message);
        match wire::decode_message(message) {
            Ok(Some(Kind::Welcome(mut theirs))) => {
                theirs.token = tokens.listening;
                self.use_tokens(id, tokens.connecting, tokens.listening);
                self.welcome(id, theirs);
            }
            Ok(Some(Kind::Refusal(refusal))) => self.refused(id, &refusal),
            Ok(_) => self.broke_protocol(id, "its answer is neither a welcome nor a refusal"),
            Err(error) => self.broke_protocol(id, &error.to_string()),
        }
    }

    /// Connecting: the server has no key, or another one.
    pub(crate) fn unauthenticated(&mut self, id: LinkId, cause: String) {
        let Some(link) = self.remove(id) else { return };
        let Some(connector) = &mut self.connector else { return };
        connector.stop();
        self.events.push(LinkEvent::Fatal(Error::Unauthenticated { address: link.peer.address, cause }));
    }

    /// Connecting: we have a key, and the server lets in who has none.
    pub(crate) fn welcomed_without_proof(&mut self, id: LinkId) {
        let text = wire::keys_agree(false, true).err().map(|Refusal { text, .. }| text);
        self.unauthenticated(id, text.unwrap_or_default());
    }

    /// What stands before messages over UCX from now on: known to who has the key, and never said at the door.
    fn use_tokens(&mut self, id: LinkId, ours: u64, theirs: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        self.tokens.remove(&std::mem::replace(&mut link.token, ours));
        self.tokens.insert(ours, id);
        link.theirs.token = theirs;
    }
}
