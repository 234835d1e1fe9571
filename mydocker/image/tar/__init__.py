"""The tar format: headers, extension headers, sparse files, compression. The only place that knows its offsets."""
