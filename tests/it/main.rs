//! One integration binary: flows through a whole service with the shipped models.

mod access;
mod architecture;
mod audio_socket;
mod bad_audio;
mod bad_input;
mod bot;
mod bot_input;
mod bot_phone;
mod chat;
mod checkpoints;
mod clients;
mod crash;
mod evaluation;
mod heads;
mod hub;
mod knowledge;
mod load;
mod media_stream;
mod mutations;
mod not_kept;
mod one_channel;
#[path = "../fuzz/src/parsers.rs"]
mod parsers;
mod privacy;
mod quality;
mod sample_calls;
mod support;
mod text_surfaces;
