"""Small templates, one construct or rule each, for chat_templates.py; all see the variables of CONTEXT."""

CONTEXT = {
    "n": 7, "x": 2.5, "s": "Hello, World", "u": "straße ÉCOLE ΣΑΣ 日本 😀", "blank": "  a b \n", "none": None, "yes": True, "empty": "",
    "words": ["b", "A", "c", "a"], "numbers": [3, 1, 2, 1], "nested": [[1, [2]], {"k": "v"}], "d": {"b": 1, "a": [True, None], "items": "own", "9": 0.5},
    "rows": [{"name": "x", "v": 2, "p": {"q": 1}}, {"name": "y", "v": 1, "p": {"q": 2}}, {"name": "X", "p": {}}],
    "html": "<a href='x'>\"&\"</a>", "quote": "it's \"q\" \\ \n\t\x7f\u00a0é", "many": list(range(20)),
    "schema": {"type": "object", "properties": {"a": {"type": "string", "enum": ["x", "<y>"]}, "é": {"type": "number", "default": 1e16}}, "required": []},
}

SNIPPETS = r"""
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 2 ** -1 }}
{{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e3 }} {{ 1_000 }} {{ 0.1 + 0.2 }} {{ 1e16 }} {{ 1e-5 }} {{ 123456789012345678 }} {{ 3.0 }} {{ 1 / 3 }}
{{ true + 1 }} {{ True }} {{ none }} {{ None }} {{ [1, 'a', none, true, 1.0] }} {{ (1,) }} {{ () }} {{ {'a': 1, 2: [3]} }}
{{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ (1, 2) == (1, 2) }} {{ [1] == (1,) }}
{{ {'a': 1} == {'a': 1.0} }} {{ none == false }} {{ 'é' > 'z' }} {{ 1 != 2 }} {{ not 1 == 2 }} {{ 9007199254740993 == 9007199254740992.0 }}
{{ 1 in [1, 2] }} {{ 'ell' in s }} {{ 'b' in d }} {{ 3 not in numbers }} {{ none in [none] }} {{ '' in '' }} {{ 1 in (2, 3) }} {{ 'x' in missing }}
{{ 1 if yes else 2 }} {{ 1 if empty }} {{ 'a' if none else 'b' if yes else 'c' }} {{ (1 if empty) is defined }}
{{ 1 and 2 }} {{ 0 or 'x' }} {{ empty and 1 }} {{ none or [] or 'z' }} {{ not empty }} {{ not not yes }} {{ yes and not none }}
{{ 'a' ~ 1 ~ none ~ 2.0 ~ [1] ~ missing }} {{ 1 ~ 2 }} {{ 'a' 'b' "c" }} {{ 'x' * 3 }} {{ 2 * 'ab' }} {{ [1] * 2 }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ 'a' * -1 }}
{{ s[0] }} {{ s[-1] }} {{ s[99] }} {{ s[1:4] }} {{ s[::-1] }} {{ s[-3:] }} {{ s[:-3] }} {{ s[10:2:-3] }} {{ u[-1] }} {{ u[19:21] }} {{ u | length }}
{{ numbers[1:] }} {{ numbers[::2] }} {{ numbers[::-1] }} {{ numbers[-2:] }} {{ numbers[5:] }} {{ (1, 2, 3)[1:] }} {{ numbers[none:2] }} {{ '' [1:] }}
{{ numbers['a':] }}
{{ d[1:] }}
{{ d.b }} {{ d['a'] }} {{ d.a[0] }} {{ d['items'] }} {{ d.9 }} {{ d[9] }} {{ d.nope }} {{ d.nope is defined }} {{ numbers.0 }} {{ numbers[-1] }} {{ nested.0.1.0 }} {{ d.items is callable }}
{{ d.nope.x }}
{{ missing.x }}
{{ missing['x'] }}
{{ none.x }} {{ none.x is defined }} {{ n.real_thing is defined }} {{ s.nope is defined }} {{ numbers.nope }} {{ numbers['nope'] }} {{ none['a'] }}
{{ none.x.y }}
{{ missing + 1 }}
{{ 1 + 'a' }}
{{ 'a' + 1 }}
{{ [1] + (2,) }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ none + 1 }}
{{ 'a' < 1 }}
{{ none < 1 }}
{{ 1 in 1 }}
{{ 1 in 'a' }}
{{ [] in {} }}
{{ {[]: 1} }}
{{ missing() }}
{{ s() }}
{{ s.nope() }}
{{ s.__class__ }}
{{ s.__class__.x }}
{{ ''['__class__'] is defined }} {{ d.__len__ is defined }}
{{ numbers.append(1) }}
{{ d.update({'x': 1}) }}
{{ d.pop('b') }}
{{ numbers.append is defined }} {{ d.get is defined }} {{ d.clear is defined }}
{{ s.upper() }} {{ s.lower() }} {{ u.upper() }} {{ u.lower() }} {{ u.title() }} {{ u.capitalize() }} {{ s.swapcase() }} {{ 'ﬁ ŉ ǰ ΐ ᾳ'.upper() }} {{ "they're bill's".title() }}
{{ 'İI'.lower() }} {{ 'ΑΣ'.lower() }} {{ 'ΑΣ Σ ΑΣΑ'.lower() }} {{ 'ǆ'.title() }} {{ 'ß'.title() }} {{ 'ß'.capitalize() }}
[{{ blank.strip() }}] [{{ blank.lstrip() }}] [{{ blank.rstrip() }}] [{{ 'xxaxx'.strip('x') }}] [{{ 'abcba'.strip('ab') }}] [{{ '\u00a0\u2003a\u200b'.strip() }}] [{{ 'éaé'.strip('é') }}] [{{ ' a '.strip(none) }}]
{{ s.split() }} {{ s.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ ' a  b '.split() }} {{ ' a  b c'.split(none, 1) }} {{ ' a b  c '.rsplit(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a</think>b'.split('</think>')[-1] }}
{{ ' a b c '.split(maxsplit=1) }} {{ 'a--b--c'.split('--', maxsplit=-1) }} {{ ' é  日 '.rsplit() }} {{ 'x'.split('xx') }} {{ 'aaa'.split('a') }}
{{ 'abc'.split('') }}
{{ 'a\nb\r\nc\rd\x0be\u2028f'.splitlines() }} {{ 'a\n'.splitlines(true) }} {{ ''.splitlines() }} {{ '\n\n'.splitlines() }}
{{ s.startswith('He') }} {{ s.startswith(('x', 'H')) }} {{ s.endswith('ld') }} {{ s.startswith('World', 7) }} {{ s.startswith('') }} {{ s.endswith('lo', 0, 5) }}
{{ s.startswith(['H']) }}
{{ s.replace('l', 'L') }} {{ s.replace('l', 'L', 1) }} {{ 'aaa'.replace('a', 'bb') }} {{ 'ab'.replace('', '-') }} {{ 'é日'.replace('', '.') }} {{ ''.replace('', 'x') }} {{ 'ab'.replace('', '-', 1) }}
{{ s.find('o') }} {{ s.find('o', 5) }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ s.count('l') }} {{ u.find('日') }} {{ s.index('W') }} {{ s.find('') }} {{ s.find('l', -3) }} {{ 'aaaa'.count('aa') }} {{ 'ab'.count('') }}
{{ s.index('zz') }}
{{ ', '.join(words) }} {{ ''.join([]) }} {{ '-'.join('abc') }} {{ 'x'.join(d) }}
{{ ','.join(numbers) }}
{{ 'a'.ljust(3) }}| {{ 'a'.rjust(3, '.') }} {{ 'a'.center(4, '*') }} {{ 'ab'.center(5, '*') }} {{ '-7'.zfill(4) }} {{ 'é'.ljust(2) }}|
{{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('=') }} {{ 'abc'.rpartition('=') }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }}
{{ '12'.isdigit() }} {{ 'a1'.isalnum() }} {{ 'aé'.isalpha() }} {{ ' \t'.isspace() }} {{ ''.isdigit() }} {{ 'AB'.isupper() }} {{ 'ab1'.islower() }} {{ '1'.isupper() }} {{ '12'.isdecimal() }} {{ 'x2'.isnumeric() }}
{{ '{} {}'.format(1, 'a') }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x}'.format(x=1) }} {{ '{{}}'.format() }} {{ '%s %d %5.2f|%-4s|%04d %x %%' % ('a', 3, x, 'b', 7, 255) }} {{ '%s' % 'one' }} {{ '%(a)s' % {'a': 1} }} {{ '%r' % 'q' }} {{ '%5s|%+d|% d' % ('é', 1, 2) }}
{{ '%s' % [1] }} {{ '%d' % 3.9 }} {{ '%.3s' % 'abcdef' }} {{ '%e %g' % (12345.678, 0.0001) }}
{{ '%s %s' % 'one' }}
{{ '%d' % 'a' }}
{{ '%s' % (1, 2) }}
{{ d.keys() }} {{ d.values() | list }} {{ {'a': 1}.items() }} {{ d.get('b') }} {{ d.get('nope') }} {{ d.get('nope', 'z') }} {{ d.keys() | list }} {{ d.items() | length }} {{ {'k': 1}.keys()[0] is defined }} {{ {}.items() | list }}
{{ numbers.index(2) }} {{ numbers.count(1) }} {{ numbers.copy() }} {{ (1, 1).count(1) }} {{ d.copy() == d }}
{{ numbers.index(99) }}
{{ s | upper | lower | title | capitalize }} {{ blank | trim }} {{ 'xax' | trim('x') }} {{ s | length }} {{ d | count }} {{ none | string }} {{ 1.0 | string + 'x' }} {{ "hello-world foo(bar" | title }} {{ u | title }} {{ 'a b' | wordcount }} {{ 42 | upper }}
{{ 5 | length }}
{{ none | length }}
{{ missing | default('d') }} {{ none | default('d') }} {{ none | default('d', true) }} {{ empty | d('e', boolean=true) }} {{ missing | default }} {{ d.x.y | default(1) }}
{{ d.x | default({}) }} {{ (d.x | default({})).y }} {{ missing | length }} {{ missing | list }} {{ missing | join(',') }} {{ missing | trim }} {{ missing | string }}| {{ missing | lower }}|
{{ words | first }} {{ words | last }} {{ [] | first }} {{ s | first }} {{ s | last }} {{ d | first }} {{ words | join }} {{ words | join('-') }} {{ rows | join('/', attribute='name') }} {{ numbers | join(',') }} {{ 'abc' | join('.') }} {{ [none, true, 1.5] | join(' ') }}
{{ 'abc' | list }} {{ d | list }} {{ (1, 2) | list }} {{ range(3) | list }} {{ range(1, 10, 3) | list }} {{ range(5, 0, -2) | list }} {{ range(0) | list }} {{ 2 in range(3) }} {{ range(3) | length }} {{ range(3)[1] }}
{{ range(100001) | length }}
{{ range(1, 2, 0) }}
{{ 5 | list }}
{{ d | items | list }} {{ missing | items | list }} {{ {'a': 1} | items | first }}
{{ s | items | list }}
{{ d | dictsort }} {{ {'b': 1, 'A': 2, 'c': 0} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'A': 2} | dictsort(by='value') }} {{ {'b': 1, 'A': 2} | dictsort(reverse=true) }}
{{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ numbers | sort(reverse=true) }} {{ words | unique | list }} {{ numbers | unique | list }} {{ numbers | sum }} {{ numbers | max }} {{ words | min }} {{ [] | max }} {{ [1.5, 2] | sum(start=1) }} {{ rows[:2] | sum(attribute='v') }} {{ rows[:2] | sort(attribute='v') | map(attribute='name') | list }}
{{ [1, 'a'] | sort }}
{{ [none, none] | sort }}
{{ numbers | reverse | list }} {{ s | reverse }} {{ (words | reverse | list)[0] }} {{ many | batch(6) | list }} {{ [1, 2, 3] | batch(2, 'x') | list }}
{{ rows | map(attribute='name') | list }} {{ rows | map(attribute='p.q') | list }} {{ rows | map(attribute='v', default='?') | join(',') }} {{ words | map('upper') | join }} {{ rows | map('length') | list }} {{ words | map('replace', 'a', 'z') | list }} {{ nested | map('tojson') | join(';') }} {{ [[1, 2]] | map(attribute=1) | list }}
{{ rows | selectattr('v') | map(attribute='name') | list }} {{ rows | selectattr('v', 'equalto', 2) | list | length }} {{ rows | rejectattr('v', 'defined') | map(attribute='name') | join }} {{ numbers | select('odd') | list }} {{ numbers | reject('>', 1) | list }} {{ numbers | select | list }} {{ rows | selectattr('name', 'in', ['x', 'X']) | list | length }} {{ none | selectattr('a') | list }} {{ none | map('x') | list }}
{{ rows | selectattr('p.q', '==', 1) | first }} {{ ([] | select | first) is defined }}
{{ rows | select | length }}
{{ (rows | select)[0] is defined }} {% if [] | select %}true{% endif %} {% set g = words | map('upper') %}{{ g | list }}{{ g | list }} {{ g is iterable }} {{ g is sequence }}
{{ words | map('nope') | list }}
{{ words | nope }}
{{ 1 is nope }}
{% if false %}{{ words | nope }}{% endif %}ok
{{ '42' | int }} {{ '4.7' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ 3.9 | int }} {{ -3.9 | int }} {{ ' 7 ' | int }} {{ none | int }} {{ 'ff' | int(base=16) }} {{ '0x1f' | int(0, 16) }} {{ true | int }} {{ '1_000' | int }} {{ '' | int }} {{ '1e3' | int }}
{{ '2.5' | float }} {{ 'x' | float }} {{ 3 | float }} {{ '1e5' | float }} {{ 'inf' | float }} {{ ' 2 ' | float }} {{ none | float(1.0) }} {{ '0x10' | float }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 42 | round }} {{ 1.25 | round(1) }} {{ 2.1 | round(0, 'ceil') }} {{ 2.9 | round(method='floor') }} {{ 1234.5 | round(-2) }} {{ -1.5 | abs }} {{ -3 | abs }}
{{ none | abs }}
{{ html | e }} {{ html | escape | escape }} {{ html | safe }} {{ (html | safe) + '<' }} {{ '<' + (html | e) }} {{ ('<b>' | safe) ~ '<' }} {{ ('<b>' | safe | upper) + '&' }} {{ [html | safe] }} {{ 'a' | safe | length }} {{ ('<' | safe).replace('<', '>') + '<' }}
{{ 'a\nb\n\nc' | indent }} {{ 'a\nb' | indent(2, true) }} {{ 'a\n\nb' | indent(1, blank=true) }} {{ 'a\nb' | indent('> ') }} {{ 'a\n' | indent }}|
{{ 'hello world foo' | truncate(9, leeway=0) }} {{ 'hello world foo' | truncate(9, true, leeway=0) }} {{ 'short' | truncate(10) }} {{ s | center(20) }}| {{ '%s-%s' | format(1, 'b') }} {{ 'aXbX' | replace('X', '-', 1) }} {{ 111 | replace('1', 2) }}
{{ d | tojson }} {{ schema | tojson }} {{ schema | tojson(indent=2) }} {{ schema | tojson(indent=0) }} {{ d | tojson(sort_keys=true) }} {{ u | tojson }} {{ u | tojson(ensure_ascii=true) }} {{ quote | tojson }} {{ html | tojson }} {{ [1, (2, 3), 1.0, 1e16, none, true] | tojson }} {{ d | tojson(separators=(',', ':')) }} {{ d | tojson(indent='\t') }} {{ {1: 2, none: 3, true: 4} | tojson }} {{ [] | tojson(indent=2) }} {{ {} | tojson(indent=4) }} {{ '\x01\b\f\u2028' | tojson }}
{{ missing | tojson }}
{{ d.items() | tojson }}
{{ range(2) | tojson }}
{{ words | map('upper') | tojson }}
{{ quote }} {{ [quote] }} {{ ["it's", 'say "x"', 'both \' "'] }} {{ ['\x00\x1f\x7f\x80\xa0\xad\u200b\u2028\ud7ff\ue000\U000e0001\U0001f600é'] }} {{ [1e22, -0.0, 5e-324, 1.5e300] }}
{{ n is defined }} {{ missing is undefined }} {{ none is none }} {{ s is string }} {{ d is mapping }} {{ s is iterable }} {{ 5 is iterable }} {{ d is sequence }} {{ s is sequence }} {{ (1,) is sequence }} {{ missing is iterable }} {{ missing is sequence }} {{ d.items() is sequence }} {{ d.items() is iterable }} {{ missing is string }}
{{ n is number }} {{ true is number }} {{ n is integer }} {{ true is integer }} {{ 1.0 is integer }} {{ 1.0 is float }} {{ true is boolean }} {{ 1 is boolean }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }} {{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ n is divisibleby(2) }} {{ 'a' is lower }} {{ 'A' is upper }} {{ n is sameas n }} {{ none is sameas none }} {{ 1 is sameas true }} {{ n is eq 7 }} {{ n is gt 3 }} {{ n is not lt 3 }} {{ 'b' is in words }} {{ 2 is ne 3 }} {{ 'upper' is filter }} {{ 'odd' is test }} {{ 1 is callable }} {{ range is callable }} {{ n is ge(7) }} {{ ('a' | e) is escaped }}
{{ s is not none and s is string }} {{ not s is none }} {{ n is defined and n > 3 }} {{ 3 is in [1, 3] }} {{ 'a' is string or missing }}
{% for w in words %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }} {% endfor %}
{% for w in words %}{{ loop.cycle('x', 'y') }}{{ loop.changed(w | lower) }} {% endfor %}{% for a in [1, 1, 2] %}{{ loop.changed(a) }}{% endfor %}
{% for i in [1, 2] %}{% for j in [3, 4] %}{{ loop.depth }}{{ loop.depth0 }}{{ loop.index }} {% endfor %}{{ loop.index }}{% endfor %}
{% for w in words if w != 'A' %}{{ loop.index }}/{{ loop.length }}{{ w }} {% else %}none{% endfor %}{% for w in [] %}x{% else %}empty{% endfor %}{% for w in words if w == 'q' %}x{% else %}none left{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% for c in 'aé' %}[{{ c }}]{% endfor %}{% for k, v in {'x': 1} | dictsort %}{{ k }}{{ v }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for a in 5 %}{% endfor %}
{% for a in none %}{% endfor %}
{% for a in missing %}{% else %}nothing{% endfor %}
{% for i in many %}{% if i == 3 %}{% continue %}{% endif %}{% if i > 5 %}{% break %}{% endif %}{{ i }}{% endfor %} {% for i in [1] %}{% break %}{% else %}else{% endfor %}
{% set a = 1 %}{% for i in [1, 2] %}{{ a }}{% set a = a + 1 %}{{ a }}{% endfor %}{{ a }}
{% set ns = namespace(a=1, b=[]) %}{% for i in [1, 2] %}{% set ns.a = ns.a + i %}{% set ns.b = ns.b + [i] %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns['a'] }}{{ ns.nope is defined }}
{% set ns = namespace({'x': 1}) %}{{ ns.x }}{% set ns.y = 2 %}{{ ns.y }}{% set ns.x, z = 5, 6 %}{{ ns.x }}{{ z }}
{% set q = 1 %}{% set q.a = 2 %}
{% set ns = namespace(_x=1) %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}{% set t = 1, 2 %}{{ t }}{% set (c, d2) = [3, 4] %}{{ c }}{{ d2 }}
{% set a, b = [1] %}
{% set block %}x{{ n }}y{% endset %}{{ block }}{{ block | length }} {% set up | upper | trim %} abc {% endset %}[{{ up }}]
{% if n > 5 %}big{% elif n > 3 %}mid{% else %}small{% endif %}{% if none %}a{% elif yes %}b{% endif %}{% if missing %}x{% endif %}
{% if true %}{% set inside = 1 %}{% endif %}{{ inside }}{% for i in [1] %}{% set only = 1 %}{% endfor %}{{ only }}|{{ i }}|
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set c = 3 %}{{ c }}{% endwith %}{{ a }}|{{ c }}|
{% macro m(a, b=2, c='x') %}({{ a }},{{ b }},{{ c }}){% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=4) }}{{ m() }}{{ m(b=1, a=0) }}{{ m(1) | length }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(q=1) }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}{{ m(*[1, 2]) }}{{ m(**{'a': 5}) }}
{% macro f(n) %}{% if n > 1 %}{{ n }}{{ f(n - 1) }}{% else %}.{% endif %}{% endmacro %}{{ f(5) }}
{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}
{% macro outer() %}{{ g }}{% set g = 'in' %}{{ g }}{% endmacro %}{% set g = 'out' %}{{ outer() }}{{ g }}
{% set w = 'root' %}{% macro m() %}{{ w }}{% endmacro %}{% for w in ['loop'] %}{{ m() }}{{ w }}{% endfor %}
{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}body{{ n }}{% endcall %}{% macro l(items) %}{% for i in items %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(x) l([1, 2]) %}[{{ x }}]{% endcall %}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro one() %}a{% endmacro %}{% macro two() %}b{% endmacro %}{% for m in [one, two] %}{{ m() }}{% endfor %}
{% macro d2(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ d2(3) }}{{ d2(3, none) }}
{% filter upper %}abc {{ s }}{% endfilter %}{% filter replace('a', 'b') | trim %} aaa {% endfilter %}
{% raw %}{{ not }} {% if %} {# no #}{% endraw %} {%- raw -%}  x  {%- endraw -%} y
a {#- comment -#} b {# {{ x }} #} c
{{ 'a' -}}   b   {{- 'c' }}
{{ {'a': {'b': 1}} }}{{ {'x': '}}'} }}{{ '%}' }}
{% set x2 = {'a': [1, {'b': '{{'}]} %}{{ x2 }}
{{ dict(a=1, b=2) }} {{ dict({'x': 1}, y=2) }} {{ dict([('a', 1)]) }} {{ dict() }}
{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ strftime_now('%A, %B %-d, %y %j %%') }}
{{ raise_exception('no way') }}
{% generation %}abc{% endgeneration %}x{% generation %}é{{ n }}{% endgeneration %}
{% for w in words %}{% generation %}{{ w }}{% endgeneration %},{% endfor %}{% generation %}{% set inside = 1 %}{% endgeneration %}{{ inside }}
{{ (1, 2, 3,) }}{{ [1, 2,] }}{{ {'a': 1,} }}{{ 1, 2 }}
{{ -n }} {{ +n }} {{ --n }} {{ -x }} {{ - 5 | abs }} {{ (-5) | abs }} {{ -'a' }}
{{ n.__add__ }}
{{ 9223372036854775807 }} {{ 4611686018427387904 * -2 }}
{{ s.split(',')[1].strip().upper() }} {{ (s | lower).title() }} {{ ('a' ~ 'b').upper() }} {{ 'a,b'.split(',') | join('+') }} {{ words | map('upper') | list | join(' ') | lower }}
{{ rows[0].p.q }} {{ rows[0]['p']['q'] }} {{ rows[-1].p.q is defined }} {{ rows[0].name ~ rows[1]['name'] }}
{{ x2 if x2 is defined else 'none' }} {{ not missing is defined }} {{ missing is not defined or missing }}
{%- set loop_messages = rows[1:] -%}{%- for r in loop_messages -%}{{- r.name -}}{%- endfor -%}
{{ loop }}|
{{ if }}
{{ 1 + }}
{% if %}{% endif %}
{% for x %}{% endfor %}
{% endif %}
{% if true %}
{{ 'open }}
{{ 1
{# never
{% unknown %}
{{ a b }}
{{ [1, 2 }}
{{ (1 }}
{% set %}
{{ 1 is }}
{{ s | }}
{{ foo(a=1, 2) }}
{% raw %} never
{{ 'a' is string is defined }}
{{ ) }}
""".strip("\n")


BLOCKS = [
    "  {% if true %}\n  kept\n    {% endif %}\nend\n", "a\n  {%- if true %}\n\n  two\n  {%- endif %}\nx", "x\n  {%+ if true %}lstrip off{% endif +%}\ny",
    "{% if true -%}\n   stripped\n{%- endif %}   z", "line {{ 1 }}\n  {{ 2 }}\n\t{% set a = 1 %}\ttail\n\n", "{# c #}\nafter\n\n", "  {# c #}  \nafter",
    "{% for i in [1, 2] %}\n- {{ i }}\n{% endfor %}\ndone\n", "a\r\nb\rc{{ '\r\n' }}\r\n", "{%- set a = 1 %}\n\n{{ a }}\n", "x {%- raw %} {{ a }} {% endraw -%} y",
    "  {% raw %}\n  a\n  {% endraw %}\nb", "a{{ 1 }}\n\n  {%- if true -%}\n b \n{%- endif -%}\n c", "{{- ' a ' -}}\n b", "\u00a0\u2003{%- if true %}x{% endif %}\n", "é{#- c -#}é",
    "{{ 'tab\\there \\\\ \\x41 \\u00e9 \\101 \\q \\\njoined' }} {{ 'multi\nline' }}",
]


def snippets():
    return SNIPPETS.split("\n") + BLOCKS
