"""Tools around the firmware: checks, image build, smoke on an emulated board, benchmark."""
