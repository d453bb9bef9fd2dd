"""Token ids of small tokenizers as the tokenizers library gives them, and a comparison with the built program.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python tokenizer_vectors.py                    # writes tokenizers/NAME.json beside this file
    python tokenizer_vectors.py compare PROGRAM SAMPLES [COUNT]

The first trains tokenizers of a few hundred pieces on the sentences below, with the normalizers, pre-tokenizers,
post-processors and added tokens of real checkpoints. A file holds the tokenizer.json and its cases: text, ids with and
without special tokens, spans in bytes of the text (null where the spans are not compared) and the decoded text.
The second draws COUNT (default 5000) strings for each tokenizer under SAMPLES/tokenizers and SAMPLES/models, and prints
every difference between the library and the verbs tokenize and detokenize.
"""

import base64
import json
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE

SENTENCES = [
    "The little dog ran to the park and the children were happy.", "It's what we'll do; they've said I'm right, he'd go.",
    "for (int i = 0; i < 10; ++i) {\n\tprint(i);\n}\n", "In 1984 and 2024, 12345 people paid $3.50 each.",
    "Größe, naïve café, Ελλάδα, Привет мир, 你好世界, こんにちは, 안녕하세요", "the the the and and and  to  to   in in    is is",
]
WORDS = ["the", " the", "Hello", " world", "it's", "I'LL", "they've", "don't", "café", "naïve", "Größe", "1234567", "3.14",
         "x1y2", "_under_score", "CamelCase", "ſtraße", "ﬁne", "Ⅷ", "½", "İstanbul", "ΣΊΣΥΦΟΣ", "你好", "世界", "한국어",
         "각", "ประเทศ", "नमस्ते", "العربية", "עברית", "🙂", "👨‍👩‍👧", "🇩🇪", "e\u0301", "a\u0323\u0307", "\u0344",
         "\ufeff", "\u200b", "\u180e", "a\u0307\u0323", "\u1e9b\u0323", "ﬁ\u0301", "\u00a0", "\u3000", "\u2028", "\x85", "▁", "▁▁a", "<0x41>", "<unk>", "<s>", "</s>", "<|x|>",
         "<|endoftext|>", "<|im_start|>", "[MASK]", "Ġ", "Ċ", "\ufffd", "\x00", "\x7f"]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", " \t ", "\x0b", "\x0c"]
ASSIGNED = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]


def random_text(draw, specials):
    """A few stretches: words, white space, punctuation, letters of one script, any assigned character."""
    parts = []
    for _ in range(draw.choice([0, 1, 2, 3, 5, 8, 13, 21])):
        kind = draw.random()
        if kind < 0.35:
            parts.append(draw.choice(WORDS))
        elif kind < 0.5:
            parts.append(draw.choice(SPACES))
        elif kind < 0.6:
            parts.append("".join(draw.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") for _ in range(draw.randint(1, 4))))
        elif kind < 0.8:
            parts.append("".join(chr(draw.randint(32, 126)) for _ in range(draw.randint(1, 10))))
        elif kind < 0.85 and specials:
            parts.append(draw.choice(specials))
        elif kind < 0.95:
            start = draw.randrange(len(ASSIGNED))
            parts.append("".join(draw.choice(ASSIGNED[start:start + 100]) for _ in range(draw.randint(1, 6))))
        else:
            parts.append("".join(draw.choice(ASSIGNED) for _ in range(draw.randint(1, 6))))
    return "".join(parts)


# The small tokenizers.

def trained(tokenizer, size=420, alphabet=None, specials=()):
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=list(specials),
                                  initial_alphabet=alphabet or [])
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def byte_level(pre_tokenizer, normalizer=None, post=None, ignore_merges=False):
    tokenizer = Tokenizer(BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trained(tokenizer, alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), specials=["<|endoftext|>"])
    if post:
        tokenizer.post_processor = post
    return tokenizer


def split_pattern(digits):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits +
                                   r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_fallback(normalizer, pre_tokenizer, decoder, fallback=True, fuse=True):
    bytes_of = [f"<0x{b:02X}>" for b in range(256)] if fallback else []
    tokenizer = Tokenizer(BPE(unk_token="<unk>", byte_fallback=fallback, fuse_unk=fuse))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    trained(tokenizer, size=len(bytes_of) + 220, specials=["<unk>", "<s>", "</s>"] + bytes_of)
    described = json.loads(tokenizer.to_str())  # the bytes are pieces of the vocabulary, not added tokens
    described["added_tokens"] = described["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(described))


def llama_decoder():
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                              decoders.Strip(" ", 1, 0)])


def small_tokenizers():
    bos = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    both = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    out = {}
    out["gpt2"] = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), post=processors.ByteLevel(trim_offsets=False))
    out["gpt2_prefix_trim"] = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True),
                                         post=processors.ByteLevel(trim_offsets=True))
    out["qwen2"] = byte_level(split_pattern(r"\p{N}"), normalizers.NFC())
    out["llama3"] = byte_level(split_pattern(r"\p{N}{1,3}"), ignore_merges=True, post=processors.Sequence([
        processors.ByteLevel(trim_offsets=True),
        processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])]))
    out["digits"] = byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                        pre_tokenizers.ByteLevel(add_prefix_space=False)]))
    prepend = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    out["llama2"] = byte_fallback(prepend, None, llama_decoder())
    out["llama2"].post_processor = bos
    out["metaspace_first"] = byte_fallback(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=True),
                                           decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")]))
    out["metaspace_first"].post_processor = both
    out["metaspace_always"] = byte_fallback(None, pre_tokenizers.Metaspace(prepend_scheme="always"),
                                            decoders.Metaspace(), fallback=False, fuse=False)
    out["metaspace_never"] = byte_fallback(normalizers.NFKC(), pre_tokenizers.Metaspace(prepend_scheme="never", split=False),
                                           llama_decoder())
    for name, form in dict(nfd=normalizers.NFD(), nfkd_strip_accents=normalizers.Sequence(
            [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]), strip=normalizers.Strip()).items():
        out[name] = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), form)
    out["punctuation"] = byte_fallback(None, pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()]),
                                       decoders.Fuse(), fallback=False)
    out["whitespace_split"] = byte_fallback(normalizers.Replace(Regex(r"\d+"), "0"), pre_tokenizers.WhitespaceSplit(),
                                            decoders.Fuse(), fallback=False)
    for behavior in ("removed", "merged_with_previous", "merged_with_next", "contiguous"):
        out["split_" + behavior] = byte_fallback(None, pre_tokenizers.Split(Regex(r"[aeiou]+?|,"), behavior), decoders.Fuse())
    for name in ("gpt2", "qwen2", "llama2", "metaspace_first", "nfkd_strip_accents"):
        out[name + "_added"] = Tokenizer.from_str(out[name].to_str())
        out[name + "_added"].add_special_tokens(["<|im_start|>", AddedToken("[MASK]", lstrip=True, special=True),
                                                 AddedToken("<|im|>", rstrip=True, normalized=True)])
        out[name + "_added"].add_tokens([AddedToken("word", single_word=True), AddedToken("both ", lstrip=True, rstrip=True),
                                         AddedToken("Café", normalized=True), AddedToken("<|im_start", normalized=False)])
    return out


def byte_spans(text, offsets):
    ends = [0]
    for character in text:
        ends.append(ends[-1] + len(character.encode()))
    return [[ends[begin], ends[end]] for begin, end in offsets]


def write_goldens(folder, count=16):
    folder.mkdir(exist_ok=True)
    for name, tokenizer in small_tokenizers().items():
        draw = random.Random(name)
        added = [t.content for t in tokenizer.get_added_tokens_decoder().values()]
        specials = added + [t + " " for t in added] + [" " + t for t in added] + ["a" + t for t in added]
        texts = ["", " ", "Hello world", *SENTENCES] + [random_text(draw, specials) for _ in range(count)]
        cases = []
        for text in texts:
            plain = tokenizer.encode(text, add_special_tokens=False)
            cases.append({"text": text, "ids": plain.ids, "special_ids": tokenizer.encode(text).ids,
                          "spans": byte_spans(text, plain.offsets), "decoded": tokenizer.decode(plain.ids, skip_special_tokens=False)})
        content = {"tokenizer": json.loads(tokenizer.to_str()), "cases": cases}
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=True, separators=(",", ":")) + "\n")


# The comparison.

def merges_of_ranks(ranks):
    """Pairs of a tiktoken table, by the BPE of each token with the tokens before it."""
    merges = []
    for token, rank in ranks.items():
        parts = [bytes([b]) for b in token]
        while len(parts) > 2:
            best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], 1 << 30))
            if ranks.get(parts[best] + parts[best + 1], 1 << 30) >= rank:
                break
            parts[best:best + 2] = [parts[best] + parts[best + 1]]
        if len(parts) == 2:
            merges.append((rank, parts[0], parts[1]))
    return [(left, right) for _, left, right in sorted(merges)]


def from_tiktoken(path, specials):
    printable = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    characters = {b: chr(b) for b in printable}
    for b in range(256):
        characters.setdefault(b, chr(0x100 + len(characters) - len(printable)))
    shown = lambda token: "".join(characters[b] for b in token)
    ranks = {}
    for line in path.read_text().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    tokenizer = Tokenizer(BPE(vocab={shown(t): r for t, r in ranks.items()},
                              merges=[(shown(a), shown(b)) for a, b in merges_of_ranks(ranks)], ignore_merges=True))
    tokenizer.pre_tokenizer = split_pattern(r"\p{N}{1,3}")
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    if specials:
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single=specials[0] + " $A", special_tokens=[(specials[0], tokenizer.token_to_id(specials[0]))])])
    return tokenizer


def from_vocabulary(vocabulary, merges, qwen, specials):
    lines = [line for line in merges.read_text().splitlines() if line and not line.startswith("#version")]
    tokenizer = Tokenizer(BPE(vocab=json.loads(vocabulary.read_text()), merges=[tuple(line.split(" ")) for line in lines]))
    if qwen:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = split_pattern(r"\p{N}") if qwen else pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    return tokenizer


class SentencePiece:
    """tokenizer.model with the calls of the tokenizers library."""

    def __init__(self, path):
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def ids(self, text, special):
        return ([self.processor.bos_id()] if special and self.processor.bos_id() >= 0 else []) + self.processor.encode(text)

    def decode(self, ids):
        return self.processor.decode(ids)

    def size(self):
        return self.processor.get_piece_size()


class Library:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def ids(self, text, special):
        return self.tokenizer.encode(text, add_special_tokens=special).ids

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=False)

    def size(self):
        return self.tokenizer.get_vocab_size()


def sample_tokenizers(samples, scratch):
    """(name, folder of a checkpoint, reference, special texts)."""
    def folder(name, files):
        made = scratch / name
        made.mkdir()
        for file, content in files.items():
            (made / file).write_bytes(content.read_bytes() if isinstance(content, Path) else content.encode())
        return made

    base = samples / "tokenizers"
    chat = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    llama3 = ["<|begin_of_text|>", "<|end_of_text|>", *[f"<|reserved_special_token_{i}|>" for i in range(4)],
              "<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>", "<|eot_id|>"]
    gpt2_files = {"vocab.json": base / "gpt2-bpe/encoder.json", "merges.txt": base / "gpt2-bpe/vocab.bpe",
                  "added_tokens.json": json.dumps({"<|endoftext|>": 50256})}
    yield ("gpt2-bpe", folder("gpt2-bpe", gpt2_files),
           Library(from_vocabulary(gpt2_files["vocab.json"], gpt2_files["merges.txt"], False, chat[:1])), chat[:1])
    qwen2_files = {file: base / "qwen2-bpe" / file for file in ("vocab.json", "merges.txt", "tokenizer_config.json")}
    yield ("qwen2-bpe", folder("qwen2-bpe", qwen2_files),
           Library(from_vocabulary(qwen2_files["vocab.json"], qwen2_files["merges.txt"], True, chat)), chat)
    for name, path, specials in (("llama3-tiktoken", base / "llama3-tiktoken/tokenizer.model", llama3),
                                 ("torchtune-tiktoken", base / "small-fixtures/torchtune_tiktoken_small.model", [])):
        tokenizer = from_tiktoken(path, specials)
        yield name, folder(name, {"tokenizer.json": tokenizer.to_str()}), Library(tokenizer), specials
    for name, path in (("torchtune-tiny-bpe", base / "small-fixtures/torchtune_tiny_bpe_tokenizer.json"),
                       ("tinystories-656k", samples / "models/tinystories-656k/tokenizer.json")):
        tokenizer = Tokenizer.from_file(str(path))
        yield (name, folder(name, {"tokenizer.json": path}), Library(tokenizer),
               [t.content for t in tokenizer.get_added_tokens_decoder().values()])
    for name, path in (("llama2-sp", base / "llama2-sp/tokenizer.model"),
                       ("unigram-sp", base / "small-fixtures/sp_unigram_test_model.model")):
        yield name, folder(name, {"tokenizer.model": path}), SentencePiece(path), []


def ask(program, verb, folder, values, *flags):
    text = "".join(json.dumps(value) + "\n" for value in values)
    done = subprocess.run([program, verb, "--model", str(folder), *flags], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{verb} {folder.name}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def llama_cpp_cases(base):
    """Texts and ids of llama.cpp's own vectors, where a folder has them."""
    for texts in base.glob("*.inp"):
        ids = texts.with_suffix(".out").read_text().splitlines()
        for text, line in zip(texts.read_bytes().decode().split("\n__ggml_vocab_test__\n"), ids):
            yield text, [int(word) for word in line.split()]


def differences(kind, name, inputs, expected, got):
    wrong = [(i, e, g) for i, e, g in zip(inputs, expected, got, strict=True) if e != g]
    print(f"{name}: {kind}: {len(inputs)} compared, {len(wrong)} differ")
    for one, e, g in wrong[:5]:
        print(f"    {one!r}\n      library {e}\n      program {g}")
    return len(wrong)


def compare(program, samples, count):
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder, reference, specials in sample_tokenizers(samples, Path(scratch)):
            draw = random.Random(name)
            texts = [random_text(draw, specials) for _ in range(count)]
            for special, flags in ((True, []), (False, ["--no-special"])):
                expected = [reference.ids(text, special) for text in texts]
                wrong += differences("ids" if special else "ids without special tokens", name, texts, expected,
                                     ask(program, "tokenize", folder, texts, *flags))
            lists = expected + [[draw.randrange(reference.size()) for _ in range(draw.randrange(12))] for _ in range(count)]
            wrong += differences("decoded", name, lists, [reference.decode(ids) for ids in lists],
                                 ask(program, "detokenize", folder, lists))
            vectors = list(llama_cpp_cases(samples / "tokenizers" / name))
            if vectors:
                inputs = [text for text, _ in vectors]
                wrong += differences("llama.cpp's vectors", name, inputs, [ids for _, ids in vectors],
                                     ask(program, "tokenize", folder, inputs, "--no-special"))
    return wrong


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[1] == "compare":
        sys.exit(1 if compare(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 5000) else 0)
    write_goldens(Path(__file__).parent / "tokenizers")
