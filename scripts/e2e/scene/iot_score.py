"""Scores machine telemetry: reads lines of "temperature pressure", prints one JSON answer each."""
import json
import os
import pickle
import sys

model = None


def init():
    global model
    folder = os.environ.get("AZUREML_MODEL_DIR", "/var/azureml-app/azureml-models")
    with open(os.path.join(folder, "model.pkl"), "rb") as f:
        model = pickle.load(f)


def run(machine):
    row = [[machine["temperature"], machine["pressure"]]]
    return {"anomaly": bool(model.predict(row)[0] < 0), "score": float(model.decision_function(row)[0])}


if __name__ == "__main__":
    init()
    for line in sys.stdin:
        temperature, pressure = map(float, line.split())
        print(json.dumps(run({"temperature": temperature, "pressure": pressure}), sort_keys=True))
