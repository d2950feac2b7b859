#!/usr/bin/env python3
"""Fails unless a help text has every pass and option that a Passes.td declares."""
import re
import sys

declared = open(sys.argv[1]).read()
text = open(sys.argv[2]).read()
missing = []
passes = re.split(r"\n(?=def )", declared)[1:]
for body in passes:
    name = re.search(r'ModulePass<"([^"]+)">', body).group(1)
    # The text from this pass to the next.
    found = re.search(r"\n      --%s +- .*?(?=\n      --\S|\Z)" % re.escape(name), text, re.S)
    if not found:
        missing.append(name)
        continue
    for option in re.findall(r'Option<"\w+", "([^"]+)"', body):
        if not re.search(r"\n        --%s[ =]" % re.escape(option), found.group(0)):
            missing.append("%s: %s" % (name, option))
print("%d passes, missing: %s" % (len(passes), missing))
sys.exit(bool(missing) or not passes)
