"""Trains an IsolationForest of about 6 kB on machine temperature and pressure: train.py VERSION OUT.
Each version after the first replaces one row in fifty; the seed of the forest stays."""
import pickle
import sys

import numpy
from sklearn.ensemble import IsolationForest

version = int(sys.argv[1])


def rows(seed, count, warmer=0.0):
    rng = numpy.random.RandomState(seed)
    temperature = rng.normal(21 + warmer, 1.5, count)
    return numpy.column_stack([temperature, rng.normal(1.0, 0.1, count) + 0.01 * (temperature - 21)])


data = rows(1, 2000)
for newer in range(2, version + 1):
    data[numpy.random.RandomState(newer).choice(2000, 40, replace=False)] = rows(100 + newer, 40, 0.5)
model = IsolationForest(n_estimators=3, max_samples=16, contamination=0.05, random_state=7).fit(data)
with open(sys.argv[2], "wb") as f:
    pickle.dump(model, f, protocol=4)
