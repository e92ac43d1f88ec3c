"""Classifier tests: can anything tell the samples apart?"""
