# python3 work.py RECORDS ROUNDS: lists, dictionaries and numbers, into JSON and back.
import json
import sys


def work(n):
    data = [{"id": i, "name": "n%d" % i, "v": [i, i * 2, str(i)]} for i in range(n)]
    words = {}
    for i in range(n * 10):
        words["k%d" % (i % 5000)] = words.get("k%d" % (i % 5000), 0) + float(i)
    return len(json.loads(json.dumps(data))), len(words)


for _ in range(int(sys.argv[2])):
    print(work(int(sys.argv[1])))
