use chrono::{DateTime, Duration, Utc};

use super::super::chunk::width;
use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn content(title: &str) -> DocumentContent {
    document(title, "正文").content
}

#[test]
fn one_version_is_published_at_a_time() {
    let mut history = History::create("doc_1", content("一"), "editor", now()).unwrap();
    assert_eq!(history.published(), None);
    history.submit(1, now()).unwrap();
    history.publish(1, now()).unwrap();
    assert_eq!(history.revise(content("二"), "editor", now()).unwrap(), 2);
    assert_eq!(history.published().unwrap().content.title, "一", "a draft changes nothing");
    history.publish(2, now()).unwrap();
    let states: Vec<VersionState> = history.versions.iter().map(|version| version.state).collect();
    assert_eq!(states, [VersionState::Archived, VersionState::Published]);
    assert_eq!(history.rollback(1, "editor", now()).unwrap(), 3);
    assert_eq!(history.published().unwrap().content.title, "一");
    history.archive_all(now());
    assert_eq!(history.published(), None);
}

#[test]
fn transitions_that_do_not_exist_are_conflicts() {
    let mut history = History::create("doc_1", content("一"), "editor", now()).unwrap();
    let conflict = |result: Result<()>| matches!(result, Err(KnowledgeError::StateConflict { .. }));
    assert!(history.rollback(1, "e", now()).is_err());
    history.publish(1, now()).unwrap();
    assert!(conflict(history.submit(1, now())) && conflict(history.publish(1, now())));
    history.archive(1, now()).unwrap();
    assert!(conflict(history.archive(1, now())));
    assert!(matches!(history.publish(7, now()), Err(KnowledgeError::NoSuchVersion { version: 7, count: 1, .. })));
}

#[test]
fn versions_are_compared_by_lines() {
    let body = |body: &str| DocumentContent { body: body.into(), ..content("标题") };
    let mut history = History::create("doc_1", body("甲\n乙\n丙"), "e", now()).unwrap();
    history.revise(body("甲\n丁\n丙\n戊"), "e", now()).unwrap();
    let same = |line: &str| DiffLine::Same(line.into());
    let expected = vec![
        same("标题"),
        same("甲"),
        DiffLine::Removed("乙".into()),
        DiffLine::Added("丁".into()),
        same("丙"),
        DiffLine::Added("戊".into()),
    ];
    assert_eq!(history.diff(1, 2).unwrap(), expected);
}

#[test]
fn content_is_checked() {
    let bad = [
        DocumentContent { title: " ".into(), ..content("一") },
        DocumentContent { body: "\n".into(), ..content("一") },
        DocumentContent { title: "长".repeat(301), ..content("一") },
        DocumentContent { effective_from: Some(now()), expires_at: Some(now() - Duration::days(1)), ..content("一") },
    ];
    for content in bad {
        assert!(matches!(content.validate(), Err(KnowledgeError::InvalidDocument { .. })), "{:?}", content.title);
    }
    let unknown = serde_json::from_str::<DocumentContent>(r#"{"title":"a","language":"en","body":"b","colour":1}"#);
    assert!(unknown.unwrap_err().to_string().contains("colour"));
    let tag: DocumentContent = serde_json::from_str(r#"{"title":"a","language":"zh-CN","body":"b"}"#).unwrap();
    assert_eq!(tag.language, Language::Zh);
    assert!(serde_json::from_str::<DocumentContent>(r#"{"title":"a","language":"fr","body":"b"}"#).is_err());
}

#[test]
fn html_is_made_safe() {
    for (source, safe) in [
        ("<p onclick=\"x()\">a<script>alert(1)</script>b</p>", "<p>ab</p>"),
        ("<a href=\"javascript:alert(1)\">x</a>", "<a>x</a>"),
        ("<a href='https://e.org/?a=1&b=2'>x</a>", "<a href=\"https://e.org/?a=1&amp;b=2\" rel=\"noopener nofollow\">x</a>"),
        ("<img src=x onerror=alert(1)>t", "t"),
        ("a < b &amp; c &lt;script&gt;", "a &lt; b &amp; c &lt;script&gt;"),
        ("<SCRIPT>x</ScRiPt><b>y", "<b>y</b>"),
        ("<style>p{}</style><!-- c --><iframe src=x>z</iframe>w", "w"),
        ("<table><tr><td colspan=\"2\" style=x>1</td></tr></table>", "<table><tr><td colspan=\"2\">1</td></tr></table>"),
        ("<scr<script>ipt>alert(1)</script>", "ipt&gt;alert(1)"),
        ("</p><p", "&lt;p"),
    ] {
        assert_eq!(sanitise_html(source), safe, "{source}");
    }
}

proptest::proptest! {
    /// Whatever comes in, what goes out holds no tag that can act, and is its own safe form.
    #[test]
    fn safe_html_stays_safe(source in r#"[<>/a-z"'= &;#!\-]{0,60}|(<(script|a|p|img|svg)( href="[a-z:/&]{0,9}")?>|</(script|p|a)>|[a-z&<>"]){0,12}"#) {
        let safe = sanitise_html(&source);
        assert!(!safe.contains("<script") && !safe.contains("<img") && !safe.contains("<svg"), "{safe}");
        assert_eq!(sanitise_html(&safe).matches('<').count(), safe.matches('<').count());
    }

    /// Any Markdown gives passages that are not empty.
    #[test]
    fn any_body_gives_passages(body in "[#|*` \n\\-0-9a-z退款。]{1,200}") {
        let document = document("t", &body);
        let passages = passages(&document, 80);
        assert!(!passages.is_empty() && passages.iter().all(|passage| !passage.text.trim().is_empty()));
    }
}

#[test]
fn passages_keep_headings_and_tables() {
    let rows: String = (0..40).map(|row| format!("| 第{row}档套餐 | {row}元 |\n")).collect();
    let body = format!(
        "# 资费\n\n导语**重点**和[链接](https://e.org)。\n\n## 档位\n\n| 档位 | 价格 |\n| --- | --- |\n{rows}\n## 说明\n\n{}",
        "说明文字。".repeat(80)
    );
    let passages = passages(&document("资费", &body), 400);
    assert!(passages.len() > 3);
    assert!(passages[0].text.contains("导语重点和链接。"));
    let tables: Vec<&Passage> = passages.iter().filter(|passage| passage.text.contains("元 |")).collect();
    assert!(
        tables.len() > 1 && tables.iter().all(|passage| passage.text.contains("| 档位 | 价格 |")),
        "every part keeps the head"
    );
    assert_eq!(tables[1].headings, ["资费", "档位"]);
    assert!(passages.iter().all(|passage| width(&passage.text) <= 440));
    let all: String = passages.iter().map(|passage| passage.text.clone()).collect();
    assert!((0..40).all(|row| all.contains(&format!("第{row}档套餐"))), "nothing is lost");
    let ids: std::collections::HashSet<&str> = passages.iter().map(|passage| passage.passage_id.as_str()).collect();
    assert_eq!(ids.len(), passages.len());
}

#[test]
fn html_becomes_blocks() {
    let html = "<h2>价格</h2><p>每月<b>5</b>元</p><ul><li>一</li><li>二</li></ul><table><tr><th>a</th><th></th></tr><tr><td>1</td><td>2</td></tr></table>";
    let expected = [
        Block::Heading { level: 2, text: "价格".into() },
        Block::Paragraph("每月5元".into()),
        Block::Item("- 一".into()),
        Block::Item("- 二".into()),
        Block::Table(vec!["| a |  |".into(), "| 1 | 2 |".into()]),
    ];
    assert_eq!(blocks(html, BodyFormat::Html), expected);
}

#[test]
fn cells_keep_what_is_in_them() {
    let nested = "<table><tr><td>套餐</td><td>价格</td></tr><tr><td>甲<table><tr><td>含</td><td>流量</td></tr></table></td>\
                  <td><p>5元</p><p>每月</p></td></tr><tr><td>乙<td>6元</table>";
    let rows = ["| 套餐 | 价格 |", "| 甲 含 流量 | 5元 每月 |", "| 乙 | 6元 |"];
    assert_eq!(blocks(nested, BodyFormat::Html), [Block::Table(rows.map(str::to_owned).to_vec())]);
    let deep = format!("{}x{}", "<table><tr><td>".repeat(100_000), "</td></tr></table>".repeat(100_000));
    assert_eq!(blocks(&deep, BodyFormat::Html), [Block::Table(vec!["| x |".into()])]);
}

#[test]
fn emphasis_goes_over_the_end_of_a_line_and_other_stars_stay() {
    let body = "客服7*24小时，**退款\n三天**到账\n\n- 拨打 *100# **查\n  询**余额\n\n```\n2*3\n```";
    let expected = [
        Block::Paragraph("客服7*24小时，退款三天到账".into()),
        Block::Item("- 拨打 *100# 查询余额".into()),
        Block::Paragraph("2*3".into()),
    ];
    assert_eq!(blocks(body, BodyFormat::Markdown), expected);
}

#[test]
fn a_row_wider_than_a_passage_is_cut_and_its_head_never_stands_alone() {
    let body = format!("| 名称 | 说明 |\n| --- | --- |\n| 甲 | {} |\n| 乙 | 短 |\n", "很长的说明。".repeat(60));
    let passages = passages(&document("表", &body), 100);
    assert!(passages.len() > 3);
    for passage in &passages {
        assert!(passage.text.starts_with("| 名称 | 说明 |\n") && width(&passage.text) <= 100, "{}", passage.text);
    }
    let length: usize = passages.iter().map(|passage| passage.text.matches("很长的说明。").count()).sum();
    assert_eq!(length, 60, "nothing is lost");
}

#[test]
fn hostile_html_is_read_in_linear_time() {
    for piece in ["<a ", "<a <a b='", "<a b=\"<a b='", "<b>", "<b></i>", "<!--", "<script>", "&"] {
        let source = piece.repeat(100_000);
        let started = std::time::Instant::now();
        drop(blocks(&sanitise_html(&source), BodyFormat::Html));
        assert!(started.elapsed().as_secs() < 60, "{piece}");
    }
}

#[test]
fn files_are_imported() {
    let markdown =
        "+++\nid = \"x\"\ntitle = \"T\"\nlanguage = \"en-GB\"\nquestions = [\"q\"]\nexpires_at = 2030-01-31\n+++\n# H\n\nbody\n";
    let imported = import(markdown.as_bytes(), "a.md", ImportFormat::Markdown).unwrap();
    let [only] = imported.documents.as_slice() else { panic!("{imported:?}") };
    assert_eq!(only.document_id, Some(document_id_of("x")));
    assert_eq!((only.content.title.as_str(), only.content.language), ("T", Language::En));
    assert_eq!(only.content.expires_at.unwrap().to_rfc3339(), "2030-01-31T00:00:00+00:00");

    let bare = import("# 只有标题\n\n正文".as_bytes(), "b.md", ImportFormat::Markdown).unwrap();
    assert_eq!(bare.documents[0].content.title, "只有标题");

    let csv =
        import("\u{FEFF}question,answer,tags\n怎么退款,原路退回,退款;售后\n,没有问题\n".as_bytes(), "c.csv", ImportFormat::Csv)
            .unwrap();
    assert_eq!((csv.documents.len(), csv.rejected.len()), (1, 1));
    assert_eq!((csv.documents[0].content.tags.len(), csv.documents[0].content.kind), (2, DocumentKind::Faq));
    assert!(csv.rejected[0].item.contains("row 3"));

    let json =
        r#"[{"id":"n","title":"t","language":"en","body":"b"},{"title":"t"},{"title":"t","language":"en","body":"b","x":1}]"#;
    let json = import(json.as_bytes(), "d.json", ImportFormat::Json).unwrap();
    assert_eq!((json.documents.len(), json.rejected.len()), (1, 2));

    let html = import(b"<h1>Title</h1><p>Text<script>x</script></p>", "e.html", ImportFormat::Html).unwrap();
    assert_eq!(html.documents[0].content.title, "Title");
    assert!(!html.documents[0].content.body.contains("script"));
}

#[test]
fn broken_files_are_refused_by_name() {
    let cases: [(&[u8], &str, ImportFormat, &str); 10] = [
        (b"\xc3(", "a.md", ImportFormat::Markdown, "UTF-8 at byte 0"),
        (b"%PDF-1.7", "a.pdf", ImportFormat::Pdf, "print it to PDF again"),
        (b"PK\x03\x04", "a.docx", ImportFormat::Docx, "no DOCX file"),
        (b"\xB0\xD7\xD3\xEB\xBA\xDA", "gbk.md", ImportFormat::Markdown, "GB18030"),
        (b"\xFF\xFE\x00\xD8", "utf16.md", ImportFormat::Markdown, "UTF-16"),
        (b"+++\ntitle = \"t\"\nbody", "b.md", ImportFormat::Markdown, "not closed"),
        (b"+++\ncolour = 1\n+++\nbody", "c.md", ImportFormat::Markdown, "colour"),
        (b"a,b\n1,2", "d.csv", ImportFormat::Csv, "question,answer"),
        (b"{", "e.json", ImportFormat::Json, "e.json"),
        (b"", "f.html", ImportFormat::Html, "body"),
    ];
    for (bytes, name, format, expected) in cases {
        let error = import(bytes, name, format).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
}

#[test]
fn synonyms_may_go_in_circles() {
    let file = "version = 1\n[[one_way]]\nfrom = \"a\"\nto = [\"b\"]\n[[one_way]]\nfrom = \"b\"\nto = [\"c\"]\n[[one_way]]\nfrom = \"c\"\nto = [\"a\"]\n[[group]]\nterms = [\"退款\", \"退钱\"]";
    let synonyms = Synonyms::parse(file).unwrap();
    assert_eq!(synonyms.expand("a"), [("a", ["b".to_owned(), "c".to_owned()].as_slice())]);
    assert_eq!(synonyms.expand("我要退钱")[0].1, ["退款"]);
    assert!(synonyms.expand("cab").is_empty(), "not inside a word");
    for bad in ["version = 2", "version = 1\n[[group]]\nterms = [\"a\", \" \"]", "[[group"] {
        assert!(matches!(Synonyms::parse(bad), Err(KnowledgeError::Synonyms { .. })), "{bad}");
    }
}

/// A DOCX file with these parts.
fn docx_of(parts: &[(&str, &str)]) -> Vec<u8> {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn docx_keeps_headings_lists_tables_and_leaves_deletions_out() {
    let paragraph = |style: &str, text: &str| format!("<w:p><w:pPr>{style}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>");
    let cell = |text: &str| format!("<w:tc><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>");
    let body = [
        paragraph("<w:pStyle w:val=\"a1\"/>", "运费说明"),
        paragraph("", "满99元免运费 &amp; 次日达&#12290;"),
        paragraph("<w:numPr/>", "偏远地区除外，*号*有效 7*24 小时"),
        "<w:p><w:del><w:r><w:delText>旧的说法</w:delText></w:r></w:del><w:r><w:t># 不是标题</w:t></w:r></w:p>".to_owned(),
        format!("<w:tbl><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr></w:tbl>", cell("地区"), cell("天数"), cell("省内"), cell("1")),
    ];
    let document = format!("<w:document xmlns:w=\"w\"><w:body>{}</w:body></w:document>", body.concat());
    let styles = "<w:styles xmlns:w=\"w\"><w:style w:styleId=\"a1\"><w:name w:val=\"heading 2\"/></w:style></w:styles>";
    let file = docx_of(&[("word/document.xml", &document), ("word/styles.xml", styles)]);
    let content = import(&file, "运费.docx", ImportFormat::Docx).unwrap().documents.remove(0).content;
    assert_eq!((content.title.as_str(), content.language), ("运费说明", Language::Zh));
    let read = blocks(&content.body, content.format);
    assert_eq!(read[0], Block::Heading { level: 2, text: "运费说明".into() });
    assert_eq!(read[1], Block::Paragraph("满99元免运费 & 次日达。".into()));
    assert!(matches!(&read[2], Block::Item(text) if text.contains("偏远地区除外，*号*有效 7*24 小时")));
    assert!(matches!(&read[3], Block::Paragraph(text) if text.contains("不是标题")), "{:?}", read[3]);
    assert!(matches!(&read[4], Block::Table(rows) if rows.len() == 2 && rows[1].contains("省内")), "{:?}", read[4]);
    assert!(!content.body.contains("旧的说法"));
}

/// A PDF file of one page with these operators.
fn pdf_of(operators: &str) -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 400] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{operators}\nendstream", operators.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file += &format!("{} 0 obj\n{object}\nendobj\n", n + 1);
    }
    let start = file.len();
    file += "xref\n0 6\n0000000000 65535 f \n";
    offsets.iter().for_each(|offset| file += &format!("{offset:010} 00000 n \n"));
    file += &format!("trailer << /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
    file.into_bytes()
}

#[test]
fn pdf_text_is_read_and_a_scan_is_refused_with_the_reason() {
    let file = pdf_of("BT /F1 12 Tf 20 300 Td (Delivery takes two to four working days.) Tj ET");
    let content = import(&file, "delivery.pdf", ImportFormat::Pdf).unwrap().documents.remove(0).content;
    assert!(content.body.contains("two to four working days"), "{}", content.body);
    assert_eq!(content.language, Language::En);
    let error = import(&pdf_of("0 0 m 10 10 l S"), "scan.pdf", ImportFormat::Pdf).unwrap_err().to_string();
    assert!(error.contains("scan.pdf") && error.contains("has no text"), "{error}");
    // whatever is in it, it never takes the process down
    for at in (0..file.len()).step_by(13) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x55;
        drop(import(&damaged, "damaged.pdf", ImportFormat::Pdf));
    }
}

#[test]
fn utf_16_is_read_and_a_file_of_200_mb_is_refused_before_it_is_read() {
    let mut wide = vec![0xFF, 0xFE];
    wide.extend("# 退款\n三天到账".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(import(&wide, "a.md", ImportFormat::Markdown).unwrap().documents[0].content.title, "退款");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.docx");
    std::fs::File::create(&path).unwrap().set_len(200 * 1024 * 1024).unwrap();
    let error = import_file(&path).unwrap_err().to_string();
    assert!(error.contains("200 MiB") && error.contains("split"), "{error}");
}
