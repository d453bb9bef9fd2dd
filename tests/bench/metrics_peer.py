"""label_accuracy, macro_f1 and exact_match of a checkpoint by transformers and scikit-learn, a sequence at a time, for comparison
with `finetune_tune eval --set run.metrics=[...]`.

    python metrics_peer.py MODEL SST2.tsv GSM8K.jsonl      # transformers 5.23.0, scikit-learn, torch 2.11.0

SST2.tsv: columns sentence and label with a header; labels 0 and 1 behind "Review: {sentence}\\nSentiment:". GSM8K.jsonl: the first
number of 24 new tokens behind "Question: {question}\\nAnswer: " against the first of the row's answer.
"""

import json
import re
import sys

import torch
from sklearn.metrics import f1_score
from transformers import AutoModelForCausalLM, AutoTokenizer

torch.set_num_threads(1)


def likeliest(model, tokenizer, prompt: str, labels: list[str]) -> str:
    """By the summed log-probabilities of the label's tokens and the end token."""
    scores = []
    for label in labels:
        encoded = tokenizer(f"{prompt} {label}", return_offsets_mapping=True)
        ids = encoded["input_ids"] + [tokenizer.eos_token_id]
        begin = sum(end <= len(prompt) for _, end in encoded["offset_mapping"])
        with torch.no_grad():
            log_probs = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
        scores.append(sum(log_probs[i - 1, ids[i]].item() for i in range(begin, len(ids))))
    return labels[max(range(len(labels)), key=scores.__getitem__)]


def written(model, tokenizer, prompt: str) -> str:
    inputs = tokenizer(prompt, return_tensors="pt")
    with torch.no_grad():
        out = model.generate(**inputs, do_sample=False, max_new_tokens=24, pad_token_id=tokenizer.eos_token_id)
    return tokenizer.decode(out[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True)


def first_number(text: str) -> str | None:
    found = re.search(r"(\d+)", text)
    return found.group(1) if found else None


def main(path: str, sst2: str, gsm8k: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    rows = [line.rstrip("\n").split("\t") for line in open(sst2)][1:]
    truth = [label.strip() for _, label in rows]
    guess = [likeliest(model, tokenizer, f"Review: {sentence}\nSentiment:", ["0", "1"]) for sentence, _ in rows]
    print("label_accuracy", sum(a == b for a, b in zip(guess, truth)) / len(rows))
    print("macro_f1", f1_score(truth, guess, average="macro"))
    asked = [json.loads(line) for line in open(gsm8k)]
    right = [first_number(written(model, tokenizer, f"Question: {row['question']}\nAnswer: ")) == first_number(row["answer"]) for row in asked]
    print("exact_match", sum(right) / len(asked))


if __name__ == "__main__":
    main(*sys.argv[1:])
