module walk

go 1.18

require pockettasks v0.0.0

replace pockettasks => ./client
