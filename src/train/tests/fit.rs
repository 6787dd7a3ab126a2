use std::path::{Path, PathBuf};

use crate::inference::{EncoderModel, Head, Scratch, Sparse, Vocabulary};
use crate::registry::{Card, ModelKind};
use crate::train::svm::{Matrix, fit};
use crate::train::{Dataset, Mode, TrainSettings, Trained, train};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/zhiyin-encoder-small")
}

#[test]
fn a_machine_meets_the_conditions_of_its_optimum() {
    // Two features, four rows; with squared hinge and penalty C the optimum has w = sum_i alpha_i y_i x_i with
    // alpha_i = 2 C max(0, 1 - y_i (w x_i + b)), and b is the weight of a feature of value 1.
    let rows: Vec<Sparse> = vec![vec![(0, 1.0)], vec![(0, 0.8), (1, 0.2)], vec![(1, 1.0)], vec![(0, 0.1), (1, 0.9)]];
    let targets = vec![vec![0], vec![0], vec![1], vec![1]];
    let machines = fit(&Matrix::new(&rows, 2), &targets, 2, 0.5, &[1.0, 1.0], 1);
    let margins: Vec<Vec<f32>> = rows.iter().map(|r| machines.margins(r)).collect();
    for label in 0..2 {
        let (mut weight, mut intercept) = ([0.0f32; 2], 0.0f32);
        for (row, (vector, target)) in rows.iter().zip(&targets).enumerate() {
            let sign = if target[0] == label { 1.0 } else { -1.0 };
            let alpha = (1.0 - sign * margins[row][label]).max(0.0);
            vector.iter().for_each(|(place, v)| weight[*place as usize] += alpha * sign * v);
            intercept += alpha * sign;
        }
        // The solver stops when no condition is broken by more than its tolerance of 0.1.
        assert!((weight[0] - machines.rows[label]).abs() < 0.1, "{weight:?} {:?}", machines.rows);
        assert!((weight[1] - machines.rows[2 + label]).abs() < 0.1);
        assert!((intercept - machines.intercepts[label]).abs() < 0.1);
    }
}

#[test]
fn vectors_have_length_one_in_each_block_and_know_only_their_texts() {
    let vocabulary = Vocabulary::of(&["查一下订单", "track my order"], 1);
    let length = vocabulary.vector("track my order").iter().map(|(_, v)| v * v).sum::<f32>();
    assert!((length - 2.0).abs() < 1e-5, "{length}");
    // Only the space around it is known.
    assert!(vocabulary.vector("😀").len() <= 1 && vocabulary.vector("").is_empty());
    assert_eq!(vocabulary.vector("Track  MY order"), vocabulary.vector("track my order"));
}

fn rows() -> String {
    let objects = ["card", "parcel", "bill", "phone", "contract", "router", "ticket", "voucher"];
    let mut lines = Vec::new();
    for (place, object) in objects.iter().enumerate() {
        for (label, texts) in [
            (
                "lost",
                [format!("i lost my {object}"), format!("my {object} is gone"), format!("cannot find the {object} any more")],
            ),
            (
                "cancel",
                [format!("cancel the {object}"), format!("please stop my {object}"), format!("i do not want the {object} now")],
            ),
            (
                "oos",
                [format!("sing about a {object}"), format!("who painted the {object}"), format!("{object} rhymes with what")],
            ),
        ] {
            lines.extend(texts.map(|t| format!("{{\"text\": \"{t} {place}\", \"label\": \"{label}\"}}")));
        }
    }
    lines.join("\n")
}

fn trained(mode: Mode, folder: &Path) -> (Trained, EncoderModel) {
    let file = folder.join("rows.jsonl");
    std::fs::write(&file, rows()).unwrap();
    let settings = TrainSettings { mode, epochs: 4, threads: 1, ..TrainSettings::new("intent") };
    let data = Dataset::load(&file, None, None, &settings).unwrap();
    let model = EncoderModel::load(&shipped()).unwrap();
    (train(&data, &model, &shipped(), &settings, &|_| ()).unwrap(), model)
}

/// A head that was trained, saved and read again answers in the encoder, and its card says what it is.
fn answers(mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let (trained, model) = trained(mode, folder.path());
    assert!(trained.dev.accuracy > 0.5, "{:?}", trained.dev);
    let out = folder.path().join("my-intent");
    trained.save(&out, "zhiyin train --data rows.jsonl").unwrap();
    let card = Card::read(&out).unwrap();
    assert_eq!((card.kind, card.base.as_deref()), (ModelKind::Head, Some(model.version().as_ref())));
    assert!(card.measured.iter().any(|m| m.figure == "intent.accuracy"));
    let head = Head::load(&out).unwrap();
    assert_eq!(head.has_trunk(), mode == Mode::Full);
    model.set_head(std::sync::Arc::new(head)).unwrap();
    let texts = ["i lost my voucher", "please stop my contract"];
    let encodings = model.encode(&texts, 256, &mut Scratch::default()).unwrap();
    let best: Vec<&str> = encodings.iter().map(|e| e.head("intent").unwrap().top().unwrap().0).collect();
    assert_eq!(best, ["lost", "cancel"]);
    // The other heads are the encoder's own still.
    assert_eq!(encodings[0].head("emotion").unwrap().labels().len(), 8);
}

#[test]
fn a_frozen_head_answers() {
    answers(Mode::Frozen);
}

#[test]
fn a_tuned_trunk_answers() {
    answers(Mode::Full);
}

#[test]
fn the_network_that_learns_is_the_network_that_serves() {
    use crate::train::batches::batch;
    use crate::train::network::Network;
    let model = EncoderModel::load(&shipped()).unwrap();
    let network = Network::load(&shipped()).unwrap();
    let texts = ["我的快递到哪了", "i want a refund for the broken lamp, please", "ok"];
    let ids: Vec<Vec<u32>> = texts.iter().map(|t| model.token_ids(t).unwrap()).collect();
    let vectors = network.sentences(&batch(&ids, vec![0, 1, 2], 0, None).unwrap()).unwrap().to_vec2::<f32>().unwrap();
    let served = model.encode(&texts, 256, &mut Scratch::default()).unwrap();
    for (learnt, served) in vectors.iter().zip(&served) {
        for (a, b) in learnt.iter().zip(&served.sentence) {
            assert!((a - b).abs() < 2e-3, "{a} {b}");
        }
    }
}
