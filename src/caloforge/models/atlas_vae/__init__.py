"""The ATLAS variational autoencoder."""
