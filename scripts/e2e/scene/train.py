"""Trains an IsolationForest on machine temperature and pressure: train.py SEED OUT."""
import pickle
import sys

import numpy
from sklearn.ensemble import IsolationForest

seed = int(sys.argv[1])
rng = numpy.random.RandomState(seed)
temperature = rng.normal(21 + 0.5 * seed, 1.5, 2000)
pressure = rng.normal(1.0 + 0.02 * seed, 0.1, 2000) + 0.01 * (temperature - 21)
model = IsolationForest(n_estimators=15, max_samples=128, contamination=0.05, random_state=seed)
model.fit(numpy.column_stack([temperature, pressure]))
with open(sys.argv[2], "wb") as f:
    pickle.dump(model, f, protocol=4)
