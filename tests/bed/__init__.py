"""The test bed: real and faulty mail servers, a recorder of every octet, and independent MIME readers."""
