#!/usr/bin/env python3
"""The Jinja interpreter beside jinja2 as transformers sets it up.

  chat_templates.py goldens PROGRAM           writes chat_templates.json from the templates in chat_templates/
  chat_templates.py compare PROGRAM SAMPLES [COUNT]
                                              COUNT random conversations (default 200) through every *.jinja below SAMPLES

PROGRAM is build/render_lines. Wants transformers and jinja2; neither is needed by the tests.
"""

import json
import random
import subprocess
import sys
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
DAY = datetime(2024, 7, 26)


class Program:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def render(self, source, variables):
        line = json.dumps({"template": source, "variables": variables, "date": DAY.strftime("%Y-%m-%d")})
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Reference:
    """jinja2 with transformers' environment, the clock stopped."""

    def __init__(self):
        from transformers.utils import chat_template_utils

        self.utils = chat_template_utils
        self.compiled = {}

    def render(self, source, variables):
        try:
            if source not in self.compiled:
                template = self.utils._compile_jinja_template(source)
                template.environment.globals["strftime_now"] = DAY.strftime
                template.globals["strftime_now"] = DAY.strftime
                self.compiled[source] = template
            template = self.compiled[source]
            blocks, spans = [], []
            with template.environment.activate_tracker(blocks, spans):
                for block in template.generate(**variables):
                    blocks.append(block)
            text = "".join(blocks)
            to_bytes = lambda at: len(text[:at].encode())
            return {"text": text, "generated": [[to_bytes(a), to_bytes(b)] for a, b in spans]}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}


WORDS = ["", " ", "hello", "Hello there.\n", "  padded  ", "\n\nline\n", "a < b & c > \"d\" 'e'", "ünïcödé ß ΣΑΣ", "日本語 text",
         "<think>plan</think>\n\nanswer", "<think>\n\n</think>\n\nanswer", "x</think>y", "# Tools", "{{ not }} {% a %} template",
         "<|im_start|>assistant", "[INST] hi [/INST]", "tab\tand \\ backslash", "e\u0301 \U0001f600", "42", "0", "None", "\u00a0\u2028x", "\x85"]
VALUES = [None, True, False, 0, 1, -3, 2.5, 1e20, 1e-7, 3.0, "text", "", "O'Neil", 'say "x"', "é\n", [], {}, [1, "a", None], {"k": [1.5, {"z": "y"}]}]


class Maker:
    """Random conversations of every kind that data sets have."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, p):
        return self.random.random() < p

    def text(self):
        r = self.random
        return " ".join(r.choice(WORDS) for _ in range(r.choice([0, 1, 1, 1, 2, 3])))

    def value(self):
        return self.random.choice(VALUES)

    def content(self):
        r = self.random
        if self.chance(0.88):
            return self.text()
        if self.chance(0.2):
            return r.choice([None, [], {"type": "text", "text": "x"}, 3])
        return [r.choice([{"type": "text", "text": self.text()}, {"type": "text", "text": self.text()}, {"type": "image"},
                          {"type": "image_url", "image_url": {"url": "x"}}]) for _ in range(r.choice([1, 1, 2, 3]))]

    def arguments(self):
        r = self.random
        made = {r.choice(["city", "count", "filter", "items", "q-1", "ключ"]): self.value() for _ in range(r.randint(0, 3))}
        return made if self.chance(0.7) else json.dumps(made)

    def call(self, index):
        call = {"name": self.random.choice(["get_weather", "search", "f.x"]), "arguments": self.arguments()}
        made = {"type": "function", "function": call} if self.chance(0.85) else dict(call)
        if self.chance(0.6):
            made["id"] = self.random.choice([f"call_{index}", f"functions.search:{index}", "abcdefghi", "123456789"])
        return made

    def assistant(self):
        made = {"role": "assistant", "content": self.content()}
        if self.chance(0.3):
            made["tool_calls"] = [self.call(i) for i in range(self.random.choice([1, 1, 2, 3]))]
            if self.chance(0.4):
                made["content"] = self.random.choice([None, ""])
            if self.chance(0.2):
                del made["content"]
        if self.chance(0.25):
            made[self.random.choice(["reasoning_content", "thinking", "reasoning", "thought"])] = self.text()
        if self.chance(0.05):
            made["tool_plan"] = self.text()
        return made

    def tool(self):
        made = {"role": self.random.choice(["tool", "tool", "ipython", "function"]), "content": self.content()}
        if self.chance(0.6):
            made["tool_call_id"] = self.random.choice(["call_0", "functions.search:0", "abcdefghi", "123456789"])
        if self.chance(0.5):
            made["name"] = "search"
        return made

    def messages(self):
        r = self.random
        made = []
        if self.chance(0.45):
            made.append({"role": r.choice(["system", "system", "system", "developer"]), "content": self.content()})
        for _ in range(r.choice([0, 1, 1, 1, 2, 2, 3, 4])):
            made.append({"role": "user", "content": self.content()})
            answer = self.assistant()
            made.append(answer)
            while "tool_calls" in answer and self.chance(0.9):
                made += [self.tool() for _ in answer["tool_calls"]]
                answer = self.assistant()
                made.append(answer)
        if self.chance(0.15):
            made.append({"role": "user", "content": self.content()})
        if self.chance(0.06):
            r.shuffle(made)
        if self.chance(0.03):
            made.append({"role": r.choice(["critic", "User", ""]), "content": self.text()})
        return made

    def schema(self, depth=0):
        r = self.random
        kind = r.choice(["string", "integer", "number", "boolean", "array", "object", ["string", "null"], "any"])
        made = {"type": kind}
        if self.chance(0.6):
            made["description"] = self.text()
        if self.chance(0.2):
            made["enum"] = ["a", "b"]
        if self.chance(0.2):
            made["default"] = self.value()
        if self.chance(0.1):
            made["nullable"] = True
        if kind == "array" and self.chance(0.8):
            made["items"] = self.schema(depth + 1) if depth < 2 else {"type": "string"}
        if kind == "object" and depth < 2:
            made["properties"] = {name: self.schema(depth + 1) for name in r.sample(["a", "b", "items", "c"], r.randint(0, 3))}
            if self.chance(0.5):
                made["required"] = list(made["properties"])[:1]
        return made

    def a_tool(self):
        r = self.random
        function = {"name": r.choice(["get_weather", "search", "code_interpreter"]), "description": self.text()}
        if self.chance(0.9):
            properties = {name: self.schema() for name in r.sample(["city", "count", "filter", "items"], r.randint(0, 3))}
            function["parameters"] = {"type": "object", "properties": properties}
            if self.chance(0.6):
                function["parameters"]["required"] = list(properties)[: r.randint(0, 2)]
        if self.chance(0.2):
            function["return"] = self.schema()
        return {"type": "function", "function": function} if self.chance(0.85) else function

    def variables(self, bos, eos):
        r = self.random
        made = {"messages": self.messages(), "tools": None, "documents": None, "add_generation_prompt": self.chance(0.4)}
        if bos is not None:
            made["bos_token"] = bos
        if eos is not None:
            made["eos_token"] = eos
        if self.chance(0.3):
            made["tools"] = [self.a_tool() for _ in range(r.randint(0, 3))]
        if self.chance(0.08):
            made["documents"] = [{"title": self.text(), "text": self.text()} for _ in range(r.randint(0, 2))]
        for name, values in COLUMNS.items():
            if self.chance(0.08):
                made[name] = r.choice(values)
        return made


COLUMNS = {"enable_thinking": [True, False, None], "thinking": [True, False], "reasoning_effort": ["low", "high", 3], "id": [7, "row"],
           "builtin_tools": [["browser"], ["python", "browser"], []], "model_identity": ["You are X."], "date_string": ["1 Jan 2025"],
           "custom_tools": [[]], "tools_in_user_message": [True, False], "keep_all_reasoning": [True], "preserve_thinking": [True],
           "clear_thinking": [False, True], "add_vision_id": [True], "xml_tools": [[{"name": "x", "description": "d"}]], "functions": ["[]"],
           "documents": [None], "controls": [{"length": "long"}], "safety_mode": ["none", "strict"], "citation_quality": ["off", "on"]}


def same(a, b):
    return "error" in a if "error" in b else a.get("text") == b["text"] and (not b["generated"] or a["generated"] == b["generated"])


def compare(program, samples, count):
    ours, reference = Program(program), Reference()
    indices = {}
    for index in sorted(samples.rglob("index.json")):
        indices |= json.loads(index.read_text())
    total = raised = wrong = 0
    for path in sorted(samples.rglob("*.jinja")):
        source = path.read_bytes().decode()
        entry = indices.get(path.stem, {"bos": "<s>", "eos": "</s>"})
        shown = 0
        for i in range(count):
            maker = Maker(f"{path.name} {i}")
            variables = maker.variables(entry["bos"], entry["eos"])
            mine, wanted = ours.render(source, variables), reference.render(source, variables)
            total += 1
            raised += "error" in wanted
            if same(mine, wanted):
                continue
            wrong += 1
            shown += 1
            if shown <= 2:
                print(f"--- {path.name} {i}\nwanted {wanted}\nours   {mine}\n{json.dumps(variables, ensure_ascii=False)[:1500]}")
        if shown:
            print(f"{path.name}: {shown} of {count} differ")
    print(f"{total} renderings, {raised} of them refused by both or one, {wrong} different")
    return 1 if wrong else 0


def goldens(program):
    """Snippets and own templates with what jinja2 makes of them; differences are shown and not written."""
    import jinja_snippets

    ours, reference = Program(program), Reference()
    made, wrong = {"context": jinja_snippets.CONTEXT, "snippets": [], "conversations": []}, 0
    for source in jinja_snippets.snippets():
        variables = jinja_snippets.CONTEXT
        wanted, mine = reference.render(source, variables), ours.render(source, variables)
        if not same(mine, wanted):
            wrong += 1
            print(f"--- {source!r}\nwanted {wanted}\nours   {mine}")
        made["snippets"].append({"template": source} | ({"error": True} if "error" in wanted else wanted))
    for path in sorted((HERE / "chat_templates").glob("*.jinja")):
        source = path.read_text()
        for i in range(40):
            variables = Maker(f"{path.name} {i}").variables("<s>", "</s>")
            wanted, mine = reference.render(source, variables), ours.render(source, variables)
            if not same(mine, wanted):
                wrong += 1
                print(f"--- {path.name} {i}\nwanted {wanted}\nours   {mine}")
            made["conversations"].append({"template": path.name, "variables": variables} | ({"error": True} if "error" in wanted else wanted))
    lines = [f'"context": {json.dumps(made["context"])}']
    for key in ("snippets", "conversations"):
        lines.append(f'"{key}": [\n' + ",\n".join(json.dumps(one) for one in made[key]) + "\n]")
    (HERE / "chat_templates.json").write_text("{" + ",\n".join(lines) + "}\n")
    print(f"{len(made['snippets'])} snippets, {len(made['conversations'])} conversations, {wrong} different")
    return 1 if wrong else 0


if __name__ == "__main__":
    command, program = sys.argv[1:3]
    if command == "goldens":
        sys.exit(goldens(program))
    if command == "compare":
        sys.exit(compare(program, Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 200))
