"""The sending half of ingestion: providers' files into Kafka, and the wait until a group has applied them."""
