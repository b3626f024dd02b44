"""One outside look at a client each: what fails to answer is no evidence, never an error."""
